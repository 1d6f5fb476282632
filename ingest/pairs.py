"""Source `pairs`: ready pairs of query and code, one JSON object a line.

Method: files are cut into byte ranges (`ingest.jsonl`); the driver digests each file and each
range, and a worker compares the range it has read with what was planned.
Cost: each byte is read twice, once by the driver and once by a worker.
Limits: `.jsonl` only; CSV, Parquet and compressed files come later; lines up to 8 MB.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, cast

from pydantic import AfterValidator

from ingest.digests import FileDigest, Progress, Wish, digest_files
from ingest.errors import ChangedInput, SourceError, TransientFault, is_transient
from ingest.jsonl import LineReader, parse_object
from ingest.languages import LANGUAGES, suggestion
from ingest.licenses import LicensePolicy
from ingest.options import CommonOptions, LocalPath
from ingest.pair_rows import Columns, RowReader
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourcePair
from ingest.slicing import content_revision, make_slice, pack, target_bytes
from ingest.walk import look, open_regular, printable

_LATER = (".csv", ".tsv", ".parquet", ".json", ".gz", ".zst", ".bz2", ".xz", ".arrow")
_LATER_REASON = "this version reads .jsonl only; other formats come later: convert it to JSON lines"


def _readable(value: str) -> str:
    if value.lower().endswith(_LATER):
        raise ValueError(f"{value!r}: {_LATER_REASON}")
    return value


def _language(value: str) -> str:
    if value and value not in LANGUAGES:
        near = suggestion(value)
        hint = f"did you mean {near!r}?" if near else f"known are {', '.join(LANGUAGES)}"
        raise ValueError(f"unknown language {value!r}: {hint}")
    return value


class PairsOptions(CommonOptions):
    """Ready pairs in a file or a folder of files."""

    kind: Literal["pairs"] = "pairs"
    path: Annotated[LocalPath, AfterValidator(_readable)]
    columns: Columns = Columns()
    language: Annotated[str, AfterValidator(_language)] = ""
    """Of rows that name none."""


def plan(
    options: PairsOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
) -> Listing:
    """List the files of pairs. Raises `SourceError` when none can be read."""
    paths, quarantined = _files(options)
    sizes = {key: path.stat().st_size for key, path in paths.items()}
    target = target_bytes(sum(sizes.values()), slice_bytes)
    cuts = {key: _cuts(size, target) for key, size in sizes.items()}
    wishes = [Wish(path=str(paths[key]), ranges=cuts[key]) for key in paths]
    answers = dict(zip(paths, digest_files(wishes, progress), strict=True))
    groups: list[list[Part]] = []
    for key, answer in answers.items():
        if isinstance(answer, str):
            quarantined.append(Quarantine(name=key, reason=answer))
        elif answer.size != sizes[key]:
            raise ChangedInput(key)
        else:
            groups.append(_parts(key, paths[key], answer, cuts[key]))
    if not any(groups):
        raise SourceError(
            "no file of pairs can be read",
            value=options.path,
            remedy=_first_reason(quarantined) or "Put .jsonl files with rows there.",
        )
    revision = content_revision((part.name, part.digest) for parts in groups for part in parts)
    facts = _facts(options, policy, revision)
    return Listing(
        source=name,
        kind=options.kind,
        revision=revision,
        slices=tuple(
            make_slice(source=name, stream="", parts=run, size=sum(map(_length, run)), facts=facts)
            for run in pack(groups, _length, target)
        ),
        quarantined=tuple(sorted(quarantined, key=lambda one: one.name)),
        provenance=tuple((f"file {parts[0].name}", parts[0].digest) for parts in groups if parts),
    )


def read(
    options: PairsOptions, name: str, policy: LicensePolicy, piece: Slice, revision: str
) -> Iterator[SourcePair | Skip]:
    """The rows of a slice.

    Raises `ChangedInput` (after the last row of the part) when the bytes are not those that
    were planned, `TransientFault` when reading may work later.
    """
    reader = RowReader(
        source=piece.source,
        revision=revision,
        columns=options.columns,
        language=options.language,
        options=options,
        policy=policy,
    )
    row = 0
    for part in piece.parts:
        for line in _lines(part):
            yield _record(reader, line, row)
            row += 1


def _record(reader: RowReader, line: bytes | None, row: int) -> SourcePair | Skip:
    if line is None:
        return Skip(language="", reason="line_too_long", row=row)
    values = parse_object(line)
    if isinstance(values, str):
        detail = line[:200].decode("utf-8", "backslashreplace")[:200]
        return Skip(language="", reason=values, row=row, detail=detail)
    return reader.read(values, row)


def _lines(part: Part) -> Iterator[bytes | None]:
    try:
        raw = cast(io.RawIOBase, open_regular(part.path))
        with io.BufferedReader(raw, 1 << 20) as file:
            reader = LineReader(cast(BinaryIO, file), part.start, part.stop)
            yield from reader.lines()
            grown = file.seek(0, io.SEEK_END) != part.size
            if grown or reader.digest != dict(part.meta)["range"]:
                raise ChangedInput(part.name)
    except OSError as error:
        if is_transient(error):
            raise TransientFault(part.name, str(error)) from error
        raise ChangedInput(part.name) from error
    except ValueError as error:
        raise ChangedInput(part.name) from error


def _files(options: PairsOptions) -> tuple[dict[str, Path], list[Quarantine]]:
    root = Path(options.path)
    if root.is_file():
        return {printable(root.name): root.resolve()}, []
    if not root.is_dir():
        raise SourceError(
            "the path of this source is neither a file nor a folder",
            value=options.path,
            remedy="Name an existing .jsonl file or a folder of them under `path`.",
        )
    files: dict[str, Path] = {}
    quarantined: list[Quarantine] = []
    for path in sorted(root.iterdir()):
        found = look(str(path), path.name)
        if found is None:
            continue
        problem = "" if found.problem == "too_large" else found.problem
        if path.suffix.lower() == ".jsonl" and not problem:
            files[found.name] = path
        elif path.suffix.lower() == ".jsonl":
            quarantined.append(Quarantine(name=found.name, reason=problem))
        elif path.name.lower().endswith(_LATER):
            quarantined.append(Quarantine(name=found.name, reason=_LATER_REASON))
    return files, quarantined


def _cuts(size: int, target: int) -> tuple[tuple[int, int], ...]:
    """Equal ranges of at most `target` bytes."""
    count = -(-size // target)
    return tuple((size * i // count, size * (i + 1) // count) for i in range(count))


def _parts(
    key: str, path: Path, digest: FileDigest, cuts: tuple[tuple[int, int], ...]
) -> list[Part]:
    return [
        Part(
            path=str(path),
            name=key,
            digest=digest.sha256,
            size=digest.size,
            start=start,
            stop=stop,
            meta=(("range", sha256),),
        )
        for (start, stop), sha256 in zip(cuts, digest.ranges, strict=True)
    ]


def _length(part: Part) -> int:
    return part.stop - part.start


def _first_reason(quarantined: list[Quarantine]) -> str:
    return f"{quarantined[0].name}: {quarantined[0].reason}." if quarantined else ""


def _facts(options: PairsOptions, policy: LicensePolicy, revision: str) -> Mapping[str, object]:
    return {
        "kind": options.kind,
        "columns": options.columns.model_dump(),
        "language": options.language,
        "languages": sorted(options.wanted()),
        "declared": list(options.declared_licenses),
        "policy": policy.policy_digest(),
        "revision": revision,
    }
