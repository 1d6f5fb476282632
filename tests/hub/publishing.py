"""A client of the small Hub that publishes: the real publisher and `huggingface_hub`, in a process
of their own.

Method: a job is one line of JSON on standard input, its answer one line on standard output, so
that one process serves many tests; `HF_ENDPOINT` was set before anything was imported. Waits
between tries are short; those inside `huggingface_hub` are its own.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

from shards.publish.hub_repo import HubRepo
from shards.publish.local import read_local
from shards.publish.preview import PublishOptions, read_hub_state
from shards.publish.publication import Publication
from shards.publish.retry import Patience
from xtrove.core import RetryPolicy
from xtrove.core.errors import XtroveError


def main() -> None:
    """Answer jobs until standard input ends."""
    for line in sys.stdin:
        job = json.loads(line)
        began = time.monotonic()
        output: list[str] = []
        answer: dict[str, Any] = {"answer": None, "error": "", "said": output}
        try:
            answer["answer"] = _publish(job, output)
        except XtroveError as error:
            answer["error"] = f"XtroveError: {error} | {error.remedy}"
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        answer["seconds"] = time.monotonic() - began
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _publish(job: dict[str, Any], said: list[str]) -> Any:
    """What a publication did, or (`look`) would do."""
    local = read_local(Path(job["path"]), lambda what, done, total: None)
    tries = job.get("tries", 4)
    patience = Patience(said.append, RetryPolicy(tries=tries, first_s=0.02))
    hub = HubRepo.open(job["repo"], job.get("token", "hf_write_secret"), patience)
    options = PublishOptions(**job.get("options", {}))
    if job.get("look"):
        outlook = read_hub_state(local, hub, options)
        return {"commits": outlook.plan.commits, "to_send": outlook.plan.to_send}
    publication = Publication(
        local=local, hub=hub, options=options, say=said.append, sent=lambda done, total: None
    )
    return dataclasses.asdict(publication.run())


if __name__ == "__main__":
    main()
