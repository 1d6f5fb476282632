"""Where the rows and the licences of CodeSearchNet lie, whatever its copy looks like.

Method: one listing of the place; each name is matched against the known layouts, and for each
language the first layout that has it is taken, from the folder nearest to the root, so that no
row is read twice:

1. `<language>/<split>-*.parquet` (the Hub's main branch);
2. `<language>/<split>/*.parquet` (its `refs/convert/parquet`);
3. `<language>.zip`, the original archives;
4. `<language>_<split>_<n>.jsonl.gz`, the same unpacked.

The Hub's config `all` repeats every row of the languages and is never read.
`<language>_licenses.pkl` is found beside any of them, or inside the zip.
Cost: one listing; the directory of each zip. Limits: names that are links are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ingest.formats import format_of
from ingest.languages import folder_language, normalise_language
from ingest.records import Quarantine
from ingest.sources.codesearchnet.rows import SPLITS
from ingest.storage import Entry

Format = Literal["parquet", "zip", "jsonl.gz", "jsonl"]
LANGUAGES: tuple[str, ...] = ("go", "java", "javascript", "php", "python", "ruby")
SPLIT_NAMES: tuple[str, ...] = ("train", "validation", "test")
SECOND_COPY = "another copy of this language is read: each row once"

# As short as may be, so that the copies of a language are told apart, not their splits.
_FOLDERS = r"(?P<prefix>(?:.*?/)?)"
_SPLIT = rf"(?P<split>{'|'.join(sorted(SPLITS, reverse=True))})"
_TABLE = r"\.(?:parquet|parq|pq)"
_LAYOUTS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "branch": re.compile(rf"{_FOLDERS}(?P<language>[^/]+)/{_SPLIT}-[^/]*{_TABLE}"),
        "converted": re.compile(rf"{_FOLDERS}(?P<language>[^/]+)/(?:\w+=)?{_SPLIT}/[^/]+{_TABLE}"),
        "zip": re.compile(rf"{_FOLDERS}(?P<language>[^/]+)\.zip"),
        "unpacked": re.compile(
            rf"{_FOLDERS}(?:(?:final/jsonl/)?{_SPLIT}/)?(?P<language>[a-z]+)_"
            rf"{_SPLIT.replace('split', 'part')}_\d+\.jsonl(?:\.gz)?"
        ),
    }
)
_MEMBER = re.compile(rf"(?:.*/)?(?P<language>[a-z]+)_{_SPLIT}_\d+\.jsonl(?:\.gz)?")
_BOOK = re.compile(r"(?:.*/)?(?P<language>[a-z]+)_licenses\.pkl")


@dataclass(frozen=True, kw_only=True, slots=True)
class CsnFile:
    """A file with rows."""

    entry: Entry
    language: str
    split: str
    """train, validation or test; "" for a zip, which holds all of them."""
    format: Format


@dataclass(frozen=True, kw_only=True, slots=True)
class CsnFiles:
    """What a place holds of the wanted languages, sorted by name."""

    rows: tuple[CsnFile, ...]
    license_indexes: Mapping[str, Entry]
    """Language -> its licence pickle, or the zip that may hold it."""
    quarantined: tuple[Quarantine, ...]


def find(entries: Sequence[Entry], languages: frozenset[str]) -> CsnFiles:
    """Choose among the files of a place."""
    rows: list[CsnFile] = []
    quarantined: list[Quarantine] = []
    for language in sorted(languages & set(LANGUAGES)):
        copies = _copies(entries, language)
        if not copies:
            continue
        best, *others = sorted(copies)
        rows.extend(copies[best])
        doubles = [row for key in others if key[0] == best[0] for row in copies[key]]
        quarantined += [Quarantine(name=row.entry.name, reason=SECOND_COPY) for row in doubles]
    broken = [row for row in rows if row.entry.problem]
    quarantined += [Quarantine(name=row.entry.name, reason=row.entry.problem) for row in broken]
    return CsnFiles(
        rows=tuple(sorted((r for r in rows if not r.entry.problem), key=lambda r: r.entry.name)),
        license_indexes=MappingProxyType(license_indexes(entries, languages)),
        quarantined=tuple(sorted(quarantined, key=lambda row: row.name)),
    )


def license_indexes(entries: Iterable[Entry], languages: frozenset[str]) -> dict[str, Entry]:
    """Language -> licence pickle; else the zip of that language."""
    indexes: dict[str, Entry] = {}
    for pattern in (_BOOK, _LAYOUTS["zip"]):
        for entry in sorted(entries, key=lambda item: (item.name.count("/"), item.name)):
            match = pattern.fullmatch(entry.name)
            language = normalise_language(match["language"]) if match else ""
            if language in languages and not entry.problem:
                indexes.setdefault(language, entry)
    return indexes


def member_split(name: str, language: str) -> str:
    """The split of a member of a zip (train, validation or test); "" if it has no such rows."""
    match = _MEMBER.fullmatch(name)
    if match is None or normalise_language(match["language"]) != language:
        return ""
    return SPLITS[match["split"]]


def is_book(name: str, language: str) -> bool:
    """Whether a member of a zip is the licence pickle of a language."""
    match = _BOOK.fullmatch(name)
    return match is not None and normalise_language(match["language"]) == language


_Copy = tuple[int, int, str]
"""Rank of the layout, depth and name of the folder: the smallest is the one to read."""


def _copies(entries: Sequence[Entry], language: str) -> dict[_Copy, list[CsnFile]]:
    copies: dict[_Copy, list[CsnFile]] = {}
    for entry in entries:
        for rank, (layout, pattern) in enumerate(_LAYOUTS.items()):
            match = pattern.fullmatch(entry.name)
            if match is None or folder_language(match["language"]) != language:
                continue
            prefix = match["prefix"]
            split = "" if layout == "zip" else SPLITS[match["part" if rank == 3 else "split"]]
            copies.setdefault((rank, prefix.count("/"), prefix), []).append(
                CsnFile(entry=entry, language=language, split=split, format=_format(entry.name))
            )
            break
    return copies


def _format(name: str) -> Format:
    if format_of(name) == "parquet":
        return "parquet"
    if name.endswith(".zip"):
        return "zip"
    return "jsonl.gz" if name.endswith(".gz") else "jsonl"
