"""What code runs: version digests for receipts, for the manifest and for the nodes of a cluster.

A stage's version is the digest of the source files that decide its output, so that a receipt
written by other code is never taken for one of ours. All nodes of a cluster must report the
same digests; a mismatch stops the build before work starts.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ingest", "extract", "dedupe", "shards", "xtrove/stages")
DECISIVE = (
    "datasketch",
    "license-expression",
    "numpy",
    "pyarrow",
    "tree-sitter",
    "tree-sitter-go",
    "tree-sitter-java",
    "tree-sitter-javascript",
    "tree-sitter-php",
    "tree-sitter-python",
    "tree-sitter-ruby",
    "tree-sitter-rust",
    "tree-sitter-typescript",
    "webdataset",
    "xxhash",
)
"""Packages whose version can change published bytes."""
OURS = ("ingest", "extract", "dedupe", "shards", "train", "evaluate")


@functools.cache
def room_digest(room: str) -> str:
    """SHA-256 over the Python and JSON files of a room, with their relative names."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / room).rglob("*")):
        if path.suffix in {".py", ".json"} and "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stage_version(rooms: Sequence[str]) -> str:
    """The version of a stage: these rooms, the decisive packages, and the minor version of Python,
    whose `ast`, `re` and `unicodedata` decide what is read."""
    parts = [room_digest(room) for room in (*rooms, "xtrove/stages")]
    parts.append(".".join(platform.python_version_tuple()[:2]))
    parts += [f"{name}=={version}" for name, version in packages().items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@functools.cache
def packages() -> dict[str, str]:
    """Installed versions of the packages that can change published bytes."""
    return {name: metadata.version(name) for name in DECISIVE}


def node_versions() -> dict[str, str]:
    """What two nodes must agree on: interpreter, platform, packages, our own code."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **packages(),
        "code": hashlib.sha256("".join(map(room_digest, ROOMS)).encode()).hexdigest()[:16],
    }


def published_versions() -> dict[str, str]:
    """Versions for the manifest: no host, no path."""
    return {
        "xtrove": metadata.version("xtrove"),
        "python": platform.python_version(),
        **packages(),
    }


def taken_names() -> dict[str, list[str]]:
    """Installed distributions that own one of our folder names, by folder.

    Hugging Face's `evaluate` and the package `dedupe` would be imported in place of ours (or
    ours in place of theirs), depending on how the process was started.
    """
    taken: dict[str, list[str]] = {}
    for name in ("evaluate", "dedupe"):
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        taken[name] = [name]
    return taken
