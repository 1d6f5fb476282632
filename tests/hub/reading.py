"""A client of the small Hub: the package's own functions, in a process of their own.

Method: a job is one line of JSON on standard input, its answer one line on standard output, so
that one process serves many tests; `HF_ENDPOINT` was set before anything was imported. Jobs:
`list` (a place), `plan` and `read` (a source; what passes between them is JSON, as between
driver and workers). A failure is answered with the class and message of the exception.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from typing import Any

from pydantic import TypeAdapter

from ingest.formats.parquet import ParquetReader
from ingest.licenses.policy import LicensePolicy
from ingest.records import Part, Slice
from ingest.sources import registry as sources
from ingest.storage.locate import open_entry, pin, terms_at
from ingest.transport.rate_limit import ReadLimits
from ingest.transport.traffic import meter

FAST = {"requests_per_second": 1000.0, "timeout_s": 30.0, "patience_s": 120.0}


def main() -> None:
    """Answer jobs until standard input ends."""
    for line in sys.stdin:
        job = json.loads(line)
        os.environ["HF_TOKEN"] = job.get("token", "")
        before, began = meter().snapshot(), time.monotonic()
        try:
            answer = {"answer": _DO[job["do"]](job), "error": ""}
        except Exception as error:
            answer = {"answer": None, "error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.monotonic() - began
        traffic = meter().since(before)
        answer["traffic"] = {host: dataclasses.asdict(one) for host, one in traffic.items()}
        sys.stdout.write(json.dumps(answer, default=lambda value: value.hex()) + "\n")
        sys.stdout.flush()


def _limits(job: dict[str, Any]) -> ReadLimits:
    return ReadLimits(**(FAST | job.get("limits", {})))


def _list(job: dict[str, Any]) -> Any:
    """Entries, with the first bytes of each if `bytes` says how many."""
    place = pin(job["path"], _limits(job))
    result: list[Any] = []
    for entry in place.files(job.get("folder", "")):
        facts = dataclasses.asdict(entry)
        if job.get("bytes"):
            with open_entry(entry, _limits(job)) as file:
                facts["read"] = file.read(job["bytes"])
        result.append(facts)
    return {
        "revision": place.revision,
        "files": result,
        "folders": place.folders(),
        "terms": terms_at(place),
    }


def _plan(job: dict[str, Any]) -> Any:
    options: sources.SourceOptions = TypeAdapter(sources.SourceOptions).validate_python(
        job["options"]
    )
    listing = sources.plan(
        options, "s", LicensePolicy(), job.get("slice_bytes"), limits=_limits(job)
    )
    return dataclasses.asdict(listing)


def _read(job: dict[str, Any]) -> Any:
    """The records of every slice of a plan, bytes in hex."""
    options: sources.SourceOptions = TypeAdapter(sources.SourceOptions).validate_python(
        job["options"]
    )
    records: list[Any] = []
    for one in job["plan"]["slices"]:
        parts = tuple(
            Part(**(part | {"meta": tuple((k, v) for k, v in part["meta"])}))
            for part in one["parts"]
        )
        piece = Slice(**(one | {"parts": parts}))
        revision = job["plan"]["revision"]
        for record in sources.read(
            options, "s", LicensePolicy(), piece, revision, limits=_limits(job)
        ):
            records.append(dataclasses.asdict(record))
    return records


def _columns(job: dict[str, Any]) -> Any:
    """Rows of one row group, of some columns only."""
    (entry,) = pin(job["path"], _limits(job)).files()
    before = meter().snapshot()
    with ParquetReader.of(open_entry(entry, _limits(job)), job["footer"]) as reader:
        footer = reader.footer_bytes
        size, rows = 1, reader.groups([])[job["group"]].rows
        after_footer = meter().since(before)
        batches = list(reader.batches(job["group"], job["columns"], size, rows))
    whole = meter().since(before)
    return {
        "rows": sum(batch.num_rows for batch in batches),
        "footer": footer,
        "footer_cost": sum(one.bytes for one in after_footer.values()),
        "cost": sum(one.bytes for one in whole.values()),
        "requests": sum(one.requests for one in whole.values()),
    }


def _ranges(job: dict[str, Any]) -> Any:
    """The length of each of many small reads of one file."""
    (entry,) = pin(job["path"], _limits(job)).files()
    with open_entry(entry, _limits(job)) as file:
        return [len(file.read(10)) for _ in range(job["count"])]


_DO = {"ranges": _ranges, "list": _list, "plan": _plan, "read": _read, "columns": _columns}

if __name__ == "__main__":
    main()
