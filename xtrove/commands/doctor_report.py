"""What `xtrove doctor` shows: for people a heading a source with a line for each thing looked
at, and the same as one JSON object. Text that comes from a source is redacted, cut and freed of
what a terminal would obey.
"""

from __future__ import annotations

import dataclasses
import json

from rich.console import Console

from extract.redaction import redact
from ingest import SourceFile, SourcePair
from ingest.sources import Check, Reading, Report
from xtrove.commands.doctor import Diagnosis
from xtrove.terminal import amount, duration, one_line

SAMPLE_CHARS = 400
SAMPLE_LINES = 10
_REDACTED_CHARS = 65_536
MOST_ROWS = 8


def show(diagnosis: Diagnosis, console: Console) -> None:
    """The report for people."""
    for source in diagnosis.sources:
        location = f", {source.place}" if source.place else ""
        console.print(f"\n{source.source} ({source.kind}{location})", style="bold")
        _show_source(source, console)
    console.print("\nthe build", style="bold")
    for check in diagnosis.build:
        _show_check(check, console)
    requests = sum(traffic.requests for _, traffic in diagnosis.traffic)
    size = sum(traffic.bytes for _, traffic in diagnosis.traffic)
    asked = f", {requests:,} requests, {amount(size)}" if requests else ""
    problems = _problems(diagnosis)
    message = f"{problems} problem{'s' * (problems != 1)}" if problems else "nothing in the way"
    console.print(f"\n{message} ({duration(diagnosis.seconds)}{asked})", style="bold")


def as_json(diagnosis: Diagnosis) -> str:
    """The report for programs: one JSON object."""
    value = {
        "ok": diagnosis.ok,
        "seconds": round(diagnosis.seconds, 2),
        "sources": [_source_json(report) for report in diagnosis.sources],
        "build": [dataclasses.asdict(check) for check in diagnosis.build],
        "traffic": {
            host: {"requests": report.requests, "bytes": report.bytes}
            for host, report in diagnosis.traffic
        },
    }
    return json.dumps(value, indent=2)


def _problems(diagnosis: Diagnosis) -> int:
    checks = [*diagnosis.build, *(check for report in diagnosis.sources for check in report.checks)]
    return sum(not check.ok for check in checks)


def _source_json(source: Report) -> dict[str, object]:
    value = dataclasses.asdict(source)
    value["ok"] = source.ok
    value["languages"] = dict(source.languages)
    value["checks"] = [
        {"name": check.name, "ok": check.ok, "found": clean(check.found), "remedy": check.remedy}
        for check in source.checks
    ]
    value["refused"] = [
        {"reason": reason, "rows": rows, "detail": clean(detail)}
        for reason, rows, detail in source.refused
    ]
    value["sample"] = _sample(source.sample)
    return value


def _show_source(source: Report, console: Console) -> None:
    for check in source.checks:
        _show_check(check, console)
    for count in source.licenses[:MOST_ROWS]:
        message = f"{clean(count.licenses) or 'none stated'}: {count.verdict}, {count.rows:,} rows"
        console.print(f"     licence  {message}")
    for reason, rows, detail in source.refused[:MOST_ROWS]:
        more = f" ({clean(detail)})" if detail else ""
        console.print(f"     refused  {reason}, {rows:,} rows{more}")
    if source.reading is not None:
        console.print(f"     reading  {_reading(source.reading)}")
        if source.quota is not None:
            message = f"a build stops at {source.quota:,} pairs a language, and reads less of it"
            console.print(f"     quota    {message}")
    sample = _sample(source.sample)
    if sample is not None:
        where = " ".join(sample[key] for key in ("repo", "path", "language", "licenses"))
        console.print(f"     sample   {where}")
        for line in "\n".join(filter(None, (sample["query"], sample["code"]))).split("\n"):
            console.print(f"       | {line}", style="dim")


def _show_check(check: Check, console: Console) -> None:
    label, style = ("ok ", "green") if check.ok else ("BAD", "bold red")
    console.print(f"  {label}", style=style, end=" ")
    console.print(f"{one_line(check.name)}: {clean(check.found, 600)}")
    if check.remedy:
        console.print(f"      -> {one_line(check.remedy)}")


def _reading(reading: Reading) -> str:
    about = "" if reading.exact else "about "
    rows = f", {about}{reading.rows:,} rows" if reading.rows >= 0 else ""
    raw = f" ({about}{amount(reading.raw_bytes)} uncompressed)"
    return f"{reading.files:,} files{rows}, {amount(reading.stored_bytes)} to read{raw}"


def _sample(record: SourceFile | SourcePair | None) -> dict[str, str] | None:
    """A row, redacted before it is cut: half a key would not be known as one."""
    if record is None:
        return None
    if isinstance(record, SourceFile):
        query, code = "", record.content[:_REDACTED_CHARS].decode("utf-8", "replace")
    else:
        query, code = record.query[:_REDACTED_CHARS], record.code[:_REDACTED_CHARS]
    return {
        "repo": clean(record.repo),
        "path": clean(record.path),
        "language": record.language,
        "licenses": ", ".join(record.licenses),
        "license_evidence": clean(record.license_evidence),
        "url": clean(record.url, 400),
        "query": _cut(query),
        "code": _cut(code),
    }


def _cut(text: str) -> str:
    redacted = redact(text)[0].expandtabs(4)[:SAMPLE_CHARS]
    return "\n".join(clean(line, SAMPLE_CHARS) for line in redacted.split("\n")[:SAMPLE_LINES])


def clean(text: str, most: int = 200) -> str:
    """One line without secrets, and without anything that a terminal would obey."""
    return one_line(redact(text[:_REDACTED_CHARS])[0][:most])
