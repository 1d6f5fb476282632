"""SHA256SUMS: `sha256sum -c SHA256SUMS` passes inside a published dataset.

Sorted by path, two spaces between digest and path, every published file but itself; written
last of all, by rename. Reading is strict: a line that is not of that form is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from shards.format import layout
from xtrove.core import DamagedData, FileFacts, file_sha256, write_bytes

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>[^\n\\]+)")


def write_checksums(base: Path, files: Iterable[str], known: Mapping[str, str], tmp: Path) -> str:
    """Writes SHA256SUMS over `files` (relative paths) and returns its own SHA-256.

    `known`: digests that were computed while writing; the others are read and hashed.
    """
    lines = []
    for path in sorted(set(files) - {layout.CHECKSUMS}):
        digest = known.get(path) or file_sha256(layout.safe_file(base, path))[0]
        lines.append(f"{digest}  {path}\n")
    facts: FileFacts = write_bytes(base, layout.CHECKSUMS, "".join(lines).encode("utf-8"), tmp)
    return facts.sha256


def parse_checksums(data: bytes) -> dict[str, str]:
    """Digest by path. `DamagedData` on a malformed, unsorted or repeated line."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedData(f"{layout.CHECKSUMS} is not UTF-8: {error}") from error
    sums: dict[str, str] = {}
    last = ""
    if text and not text.endswith("\n"):
        raise DamagedData(f"{layout.CHECKSUMS} is cut off: its last line has no end")
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        match = _LINE.fullmatch(line)
        if match is None or match["path"] <= last:
            raise DamagedData(
                f"{layout.CHECKSUMS} line {number}: {line[:200]!r} is not `<sha256>  <path>` in "
                "sorted order"
            )
        last = match["path"]
        sums[last] = match["sha256"]
    return sums
