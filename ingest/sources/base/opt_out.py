"""Owners and repositories whose code must not be read.

Method: the config lists `owner` or `owner/repo`, or files with one of them a line; the driver
reads the files once, so that workers and digests know the list itself. Names are compared
without case, as GitHub does. Every record of such a repository becomes a refusal.
Cost: two look-ups a record. Limits: `MAX_FILE_BYTES` a file; records without a repository
cannot be matched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ingest.errors import SourceError
from ingest.files import read_capped
from ingest.records import Skip, SourceFile, SourcePair

OPTED_OUT = "opted_out"
MAX_FILE_BYTES = 32_000_000
_NAME = re.compile(r"[\w.-]{1,100}(/[\w.-]{1,100})?", re.ASCII)


def opt_out_names(value: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without case and unique. Raises `ValueError` for what is no owner or repository."""
    names = {item.strip().casefold() for item in value}
    for name in sorted(names):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is neither an owner nor owner/repo, as on GitHub")
    return tuple(sorted(names))


def read_opt_out(path: Path) -> tuple[str, ...]:
    """The names in a file, one a line; `#` starts a comment. Raises `SourceError`."""
    data = read_capped(str(path), MAX_FILE_BYTES)
    if data is None:
        raise SourceError(
            "a list of opt-outs cannot be read",
            value=path,
            remedy=f"Name a text file of at most {MAX_FILE_BYTES} bytes, one owner or repo a line.",
        )
    lines = (line.split("#", 1)[0].strip() for line in data.decode("utf-8", "replace").splitlines())
    try:
        return opt_out_names(line for line in lines if line)
    except ValueError as error:
        raise SourceError(
            "a list of opt-outs has a line that is no name", value=path, remedy=f"{error}."
        ) from error


def without(
    names: tuple[str, ...], records: Iterator[SourceFile | SourcePair | Skip]
) -> Iterator[SourceFile | SourcePair | Skip]:
    """The records, with those of opted-out repositories refused."""
    refused = frozenset(names)
    for record in records:
        if isinstance(record, Skip) or not matches(record.repo, refused):
            yield record
        else:
            yield Skip(
                language=record.language, reason=OPTED_OUT, row=record.row, detail=record.repo[:200]
            )


def matches(repo: str, refused: frozenset[str]) -> bool:
    """Whether a repository or its owner is among the names (as `opt_out_names` gives them)."""
    name = repo.casefold()
    return name in refused or name.partition("/")[0] in refused
