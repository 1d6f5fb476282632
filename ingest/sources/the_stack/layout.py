"""Where The Stack v1 and its kin keep their files: folders called after languages.

Method: `data/<language>/` or `<language>/`, or the path is itself such a folder; folders are
matched by normalised name ("TSX", "Golang", `lang=Python`), and files by ending alone, for one
data set calls them `train-00000-of-00257.parquet` and another `data-00000-of-00126.parquet`. A
folder without Parquet may hold JSON lines (`data.json`: the smol sets).
Cost: on the Hub two listings and one a wanted language. Limits: files directly in the folder of
a language; in local folders links are set aside (a Hub cache is made of links).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ingest.errors import SourceError
from ingest.formats import LINES, PACKED_LINES, ZSTD_LINES, ZSTD_REASON, format_of
from ingest.languages import folder_language
from ingest.records import Quarantine
from ingest.storage import Entry, Place, is_local, pin
from ingest.transport import ReadLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFile:
    """One file of one language."""

    entry: Entry
    language: str

    @property
    def is_table(self) -> bool:
        """Parquet, not JSON lines."""
        return is_table(self.entry.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class StackLayout:
    """What was found."""

    place: Place
    files: tuple[StackFile, ...]
    """Sorted by name."""
    quarantined: tuple[Quarantine, ...]


def is_table(name: str) -> bool:
    """Whether a file is Parquet by its name."""
    return format_of(name) == "parquet"


def find_files(
    path: str, languages: tuple[str, ...] | None, columns: frozenset[str], limits: ReadLimits
) -> StackLayout:
    """The files of the wanted languages. Raises `SourceError` when a language has none."""
    place = _pin(path, limits)
    folders = _folders(place)
    files: list[StackFile] = []
    quarantined: list[Quarantine] = []
    for folder, language in folders:
        for entry in _readable(place, folder) if language in columns else ():
            if entry.problem:
                quarantined.append(Quarantine(name=entry.name, reason=why(entry.problem)))
            else:
                files.append(StackFile(entry=entry, language=language))
    present = {file.language for file in files}
    missing = sorted(set(languages or ()) - present)
    if (missing or not present) and not quarantined:
        there = ", ".join(_last(folder) for folder, _ in folders if folder) or "nothing"
        raise SourceError(
            f"no Parquet file for {', '.join(missing) or 'any supported language'}",
            value=path,
            remedy=f"Expected `data/<language>/*.parquet`; found folders: {there[:300]}.",
        )
    files.sort(key=lambda file: file.entry.name)
    return StackLayout(place=place, files=tuple(files), quarantined=tuple(quarantined))


def _pin(path: str, limits: ReadLimits) -> Place:
    if is_local(path) and not (Path(path).is_dir() or Path(path).is_file()):
        raise SourceError(
            "the path of this source is not a folder",
            value=path,
            remedy="Name the folder that holds `data/<language>/*.parquet`.",
        )
    return pin(path, limits)


def _folders(place: Place) -> list[tuple[str, str]]:
    """Folders with the language that each is called after; "" is the path itself."""
    if _readable(place, ""):
        steps = place.uri.rstrip("/").split("/")
        named = (folder_language(step) for step in reversed(steps[-2:]))
        return [("", next((language for language in named if language), ""))]
    inside = place.folders()
    base = "data/" if "data" in inside else ""
    names = place.folders("data") if base else inside
    return [(f"{base}{name}", folder_language(name)) for name in names]


def _readable(place: Place, folder: str) -> list[Entry]:
    """The Parquet files of a folder, or else its JSON lines where a language is named."""
    # Folders called `key=value` are cut again by other keys.
    entries = place.files(folder, recursive="=" in folder)
    tables = [entry for entry in entries if is_table(entry.name)]
    steps = (folder or place.uri.rstrip("/")).split("/")
    if tables or not any(folder_language(step) for step in steps[-2:]):
        return tables
    lines = [entry for entry in entries if entry.name.lower().endswith((*LINES, *PACKED_LINES))]
    packed = [entry for entry in entries if entry.name.lower().endswith(ZSTD_LINES)]
    return [*lines, *(replace(entry, problem=entry.problem or ZSTD_REASON) for entry in packed)]


def _last(folder: str) -> str:
    return folder.rpartition("/")[2]


def why(problem: str) -> str:
    """The reason of a file that is set aside, with the remedy where there is one."""
    if problem == "symlink":
        return "symlink: links are not followed; download with --local-dir"
    return problem
