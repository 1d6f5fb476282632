"""Source `the-stack`: a local copy of The Stack v1 (also the-stack-dedup), by its schema.

Method: `data/<language>/*.parquet` or `<language>/*.parquet`, whatever the files are called;
folders are matched by normalised name. A slice is a run of row groups of one language; each
language is a stream of its own. Rows are passed on as they are: duplicates are not looked at.
Cost: the driver digests each file and reads its footer. Memory of a worker: see
`ingest.parquet`. Limits: links in the folder are not followed (a Hub cache is made of links:
download with `--local-dir`); a broken file is set aside by name, and it is an error only if
nothing else is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ingest.budget import ReadLimits
from ingest.digests import FileDigest, Progress, Wish, digest_files
from ingest.errors import SourceError, TransientFault, is_transient
from ingest.languages import normalise_language
from ingest.licenses import LicensePolicy
from ingest.options import CommonOptions, LocalPath
from ingest.parquet import BrokenFile, BrokenGroup, ParquetReader, RowGroup, open_planned
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import content_revision, make_slice, pack, target_bytes
from ingest.stack_rows import COLUMNS, CONTENT, LICENSES, StackRows
from ingest.walk import TOO_LARGE, look


class TheStackOptions(CommonOptions):
    """A local folder with The Stack v1."""

    kind: Literal["the-stack"] = "the-stack"
    path: LocalPath


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    name: str
    path: str
    language: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    file: _File
    digest: FileDigest
    footer: str
    groups: tuple[RowGroup, ...]


_Unit = tuple[_Planned, int]
"""A file and the index of one of its row groups."""


def plan(
    options: TheStackOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
) -> Listing:
    """List the row groups. Raises `SourceError` when no file of the languages can be read."""
    files, quarantined = _files(options)
    digests = digest_files([Wish(path=file.path) for file in files], progress)
    planned: list[_Planned] = []
    for file, digest in zip(files, digests, strict=True):
        outcome = digest if isinstance(digest, str) else _inspect(file, digest)
        if isinstance(outcome, str):
            quarantined.append(Quarantine(name=file.name, reason=outcome))
        else:
            planned.append(outcome)
    quarantined.sort(key=lambda one: one.name)
    if not planned:
        first = f" First: {quarantined[0].name}: {quarantined[0].reason}." if quarantined else ""
        raise SourceError(
            "no Parquet file of this source can be read",
            value=options.path,
            remedy=f"Download the files again.{first}",
        )
    revision = content_revision((one.file.name, one.digest.sha256) for one in planned)
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        revision=revision,
        slices=_slices(planned, name, slice_bytes, facts),
        quarantined=tuple(quarantined),
        provenance=tuple((f"file {one.file.name}", one.digest.sha256) for one in planned),
    )


def read(
    options: TheStackOptions,
    name: str,
    policy: LicensePolicy,
    piece: Slice,
    revision: str,
    limits: ReadLimits | None = None,
) -> Iterator[SourceFile | Skip]:
    """The rows of a slice; a row group that cannot be decoded is one `corrupt_input`.

    Raises `ChangedInput` when a file is not the one that was planned, `TransientFault` when
    reading may work later.
    """
    first = 0
    for part in piece.parts:
        rows = StackRows(
            source=piece.source,
            revision=revision,
            language=part.language,
            options=options,
            policy=policy,
        )
        footer = dict(part.meta)["footer"]
        with open_planned(part.path, part.name, part.size, footer) as reader:
            columns = reader.check(COLUMNS)
            groups = reader.groups(columns)
            for index in range(part.start, part.stop):
                yield from _read_group(reader, rows, columns, groups[index], part, index, first)
                first += groups[index].rows


def _read_group(
    reader: ParquetReader,
    rows: StackRows,
    columns: Sequence[str],
    group: RowGroup,
    part: Part,
    index: int,
    first: int,
) -> Iterator[SourceFile | Skip]:
    try:
        gate = reader.batches(index, [LICENSES], group.size, group.rows)
        needed = columns if rows.any_passes(gate) else [name for name in columns if name != CONTENT]
        for batch in reader.batches(index, needed, group.size, group.rows):
            yield from rows.read(batch, first)
            first += batch.num_rows
    except BrokenGroup as error:
        yield Skip(
            language=part.language,
            reason="corrupt_input",
            row=first,
            rows=group.rows,
            detail=str(error)[:200],
            quarantined=f"{part.name}#{index}",
        )
    except OSError as error:
        raise TransientFault(part.name, str(error)) from error


def _files(options: TheStackOptions) -> tuple[list[_File], list[Quarantine]]:
    """The Parquet files of the wanted languages, and those that must not be opened."""
    root = Path(options.path)
    if not root.is_dir():
        raise SourceError(
            "the path of this source is not a folder",
            value=options.path,
            remedy="Name the folder that holds `data/<language>/*.parquet`.",
        )
    files: list[_File] = []
    quarantined: list[Quarantine] = []
    for folder, language in _folders(root):
        if language not in options.wanted():
            continue
        for path in sorted(folder.glob("*.parquet")):
            found = look(str(path), path.relative_to(root).as_posix())
            if found is not None and found.problem in ("", TOO_LARGE):
                files.append(_File(name=found.name, path=str(path), language=language))
            elif found is not None:
                quarantined.append(Quarantine(name=found.name, reason=_why(found.problem)))
    _check_languages(options, root, {file.language for file in files}, bool(quarantined))
    return sorted(files, key=lambda file: file.name), quarantined


def _folders(root: Path) -> list[tuple[Path, str]]:
    """Folders with the language that each is called after."""
    if next(root.glob("*.parquet"), None) is not None:
        return [(root, normalise_language(root.name))]
    base = root / "data" if (root / "data").is_dir() else root
    inside = [path for path in base.iterdir() if path.is_dir() and not path.is_symlink()]
    return [(path, normalise_language(path.name)) for path in sorted(inside)]


def _check_languages(
    options: TheStackOptions, root: Path, found: set[str], quarantined: bool
) -> None:
    missing = sorted(set(options.languages or ()) - found)
    if (missing or not found) and not quarantined:
        there = ", ".join(path.name for path, _ in _folders(root)) or "nothing"
        raise SourceError(
            f"no Parquet file for {', '.join(missing) or 'any supported language'}",
            value=options.path,
            remedy=f"Expected `data/<language>/*.parquet`; found folders: {there[:300]}.",
        )


def _why(problem: str) -> str:
    if problem == "symlink":
        return "symlink: links are not followed; download with --local-dir"
    return problem


def _inspect(file: _File, digest: FileDigest) -> _Planned | str:
    try:
        with ParquetReader.open(file.path) as reader:
            groups = reader.groups(reader.check(COLUMNS))
            return _Planned(file=file, digest=digest, footer=reader.footer, groups=groups)
    except BrokenFile as error:
        return str(error)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(file.name, str(error)) from error
        return "unreadable"


def _slices(
    planned: Sequence[_Planned], name: str, slice_bytes: int | None, facts: Mapping[str, object]
) -> tuple[Slice, ...]:
    target = target_bytes(
        sum(_size((one, i)) for one in planned for i in _indexes(one)), slice_bytes
    )
    slices: list[Slice] = []
    for language in sorted({one.file.language for one in planned}):
        units = [
            [(one, index) for index in _indexes(one)]
            for one in planned
            if one.file.language == language
        ]
        slices.extend(
            make_slice(
                source=name,
                stream=language,
                parts=_parts(run),
                size=sum(map(_size, run)),
                facts=facts,
            )
            for run in pack(units, _size, target)
        )
    return tuple(slices)


def _indexes(one: _Planned) -> list[int]:
    return [index for index, group in enumerate(one.groups) if group.rows]


def _size(unit: _Unit) -> int:
    return unit[0].groups[unit[1]].size


def _parts(run: Sequence[_Unit]) -> list[Part]:
    """Neighbouring row groups of one file as one part."""
    parts: list[Part] = []
    for one, index in run:
        last = parts[-1] if parts else None
        start = index
        if last is not None and last.name == one.file.name and last.stop == index:
            start = parts.pop().start
        parts.append(
            Part(
                path=one.file.path,
                name=one.file.name,
                digest=one.digest.sha256,
                size=one.digest.size,
                start=start,
                stop=index + 1,
                language=one.file.language,
                meta=(("footer", one.footer),),
            )
        )
    return parts


def _facts(options: TheStackOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "declared": list(options.declared_licenses),
        "policy": policy.policy_digest(),
        "revision": revision,
    }
