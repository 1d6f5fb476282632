"""Where the files of a dataset stand, and which paths may be trusted.

Everything that is published has a place and a name that this module can parse; a path that
comes out of a manifest or a checksum file is used only after `safe_file` has walked it without
meeting a link. Top-level entries in `PRIVATE` (the build's own, and what Git and the Hub client
leave behind) are never published.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from xtrove.core import DamagedData

MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
FUNNEL = "funnel.json"
CARD = "README.md"
ATTRIBUTION = "ATTRIBUTION.jsonl"
PLOTS = ("plots/funnel.svg", "plots/samples.svg", "plots/licenses.svg")
SPLITS = ("train", "validation", "test")
PRIVATE = frozenset({".xtrove", ".cache", ".git", ".gitattributes", ".huggingface"})
MAX_TEXT_BYTES = 1 << 28
"""No manifest, funnel, card or checksum file larger than this (256 MiB) is read."""

_LANGUAGE = re.compile(r"[a-z0-9][a-z0-9_+#-]{0,63}")
_TAR = re.compile(
    r"data/(?P<language>[a-z0-9][a-z0-9_+#-]{0,63})/"
    r"(?P<split>train|validation|test)-(?P<number>[0-9]{5})\.tar"
)
_TWINS = re.compile(
    r"data/[a-z0-9][a-z0-9_+#-]{0,63}/(train|validation|test)-[0-9]{5}\.(tar|idx\.arrow)"
    r"|parquet/[a-z0-9][a-z0-9_+#-]{0,63}/(train|validation|test)-[0-9]{5}\.parquet"
)
_REMOVALS = re.compile(r"removals/[A-Za-z0-9][A-Za-z0-9_+#-]{0,99}\.parquet")
_TEXTS = frozenset({MANIFEST, CHECKSUMS, FUNNEL, CARD, ATTRIBUTION, *PLOTS})


def check_language(language: str) -> str:
    """The language, if it can stand in a path; `ValueError` otherwise."""
    if not _LANGUAGE.fullmatch(language):
        raise ValueError(
            f"language {language!r} cannot name a folder: use lower-case letters, digits, _ + # -"
        )
    return language


def tar_path(language: str, split: str, number: int) -> str:
    """`data/<language>/<split>-00000.tar`; `ValueError` on a bad part."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is none of {', '.join(SPLITS)}")
    if not 0 <= number < 100_000:
        raise ValueError(f"shard number {number} is outside 0..99999: raise shards.max_bytes")
    return f"data/{check_language(language)}/{split}-{number:05d}.tar"


def index_path(tar: str) -> str:
    """The index that belongs to the tar at this path."""
    return tar.removesuffix(".tar") + ".idx.arrow"


def parquet_path(tar: str) -> str:
    """The Parquet twin of the tar at this path."""
    return "parquet/" + tar.removeprefix("data/").removesuffix(".tar") + ".parquet"


def parse_tar_path(path: str) -> tuple[str, str, int] | None:
    """Language, split and number of a shard's path, or None where it is no such path."""
    match = _TAR.fullmatch(path)
    if match is None:
        return None
    language, split, number = match["language"], match["split"], int(match["number"])
    return (language, split, number) if tar_path(language, split, number) == path else None


def is_published_name(path: str) -> bool:
    """Whether a dataset may hold a file of this name at all."""
    return bool(path in _TEXTS or _TWINS.fullmatch(path) or _REMOVALS.fullmatch(path))


def is_generated_data(path: str) -> bool:
    """Whether the name is that of a shard, an index, a twin or evidence."""
    return bool(_TWINS.fullmatch(path) or _REMOVALS.fullmatch(path))


def safe_file(base: Path, relative: str) -> Path:
    """The regular file at a relative POSIX path; `DamagedData` where it is anything else."""
    pure = PurePosixPath(relative)
    wrong = pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in relative
    if wrong or str(pure) != relative:
        raise DamagedData(f"{relative!r} is no plain relative path inside the dataset")
    path = base
    for part in pure.parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DamagedData(f"{relative!r} is missing") from error
        if stat.S_ISLNK(mode):
            raise DamagedData(f"{relative!r} goes through a symbolic link: replace it by the file")
    if not stat.S_ISREG(path.lstat().st_mode):
        raise DamagedData(f"{relative!r} is not a regular file")
    return path


def read_text_file(base: Path, relative: str, limit: int = MAX_TEXT_BYTES) -> bytes:
    """The bytes of a small published file; `DamagedData` where it is missing or too large."""
    path = safe_file(base, relative)
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise DamagedData(f"{relative!r} is larger than {limit} bytes")
    return data


def walk(base: Path) -> Iterator[str]:
    """Every entry under base that is no folder, links included, as sorted relative paths."""
    for entry in sorted(base.iterdir()):
        if entry.name not in PRIVATE:
            yield from _walk(entry, entry.name)


def _walk(folder: Path, relative: str) -> Iterator[str]:
    if folder.is_symlink() or not folder.is_dir():
        yield relative
        return
    for entry in sorted(folder.iterdir()):
        yield from _walk(entry, f"{relative}/{entry.name}")
