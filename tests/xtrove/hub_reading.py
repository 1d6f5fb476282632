"""What a build fetched from the small Hub: what its quota needed, and what it read beyond.

Method: the Hub's own log says how many bytes went out; the log of the build says how many each
task of the extract stage fetched; the last list of runs names the tasks that decided. Planning is
what is left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.hub.running import RunningHub
from tests.xtrove import support


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """Bytes, where nothing else is said."""

    total: int
    """Of files, as the Hub counted them."""
    planning: int
    requests: int
    """For files, at the Hub and at its CDN."""
    planning_requests: int
    counted: int
    """By the tasks whose rows decided: the prefix that was needed."""
    largest: int
    """By one task."""
    tasks: int
    beyond: int
    """Tasks that read more than was needed."""

    def within_the_promise(self, workers: int) -> bool:
        """At most 1.25 times the needed prefix, and one slice a worker."""
        return self.total <= 1.25 * (self.planning + self.counted) + workers * self.largest


def fetched(hub: RunningHub, output: Path, source: str, repo: str) -> Fetched:
    """Of one source of the last build of a config without anything kept from before."""
    asked = [int(one["bytes"]) for one in hub.log() if _is_file(one["path"], repo)]
    total = sum(asked)
    lists = (output / ".xtrove" / "plan").glob("runs-*.json")
    last = max(lists, key=lambda path: path.stat().st_mtime_ns)
    decided = {key for key, _ in json.loads(last.read_bytes())}
    tasks: dict[str, int] = {}
    requests = 0
    for event in support.events(output):
        is_ours = event["event"] == "task" and event["stage"] == "extract"
        if is_ours and event["label"].startswith(f"{source}: "):
            traffic = (event.get("traffic") or {}).values()
            tasks[event["key"]] = sum(size for _, size in traffic)
            requests += sum(count for count, _ in traffic)
    by_tasks = sum(tasks.values())
    return Fetched(
        total=total,
        planning=total - by_tasks,
        requests=len(asked),
        planning_requests=len(asked) - requests,
        counted=sum(size for key, size in tasks.items() if key in decided),
        largest=max(tasks.values()),
        tasks=len(tasks),
        beyond=sum(key not in decided for key in tasks),
    )


def _is_file(path: str, repo: str) -> bool:
    # The CDN names a file by where it lies in the store, the resolver by the data set.
    return f"datasets/{repo}/" in path and not path.startswith("/api/")
