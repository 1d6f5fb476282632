"""What code runs: version digests for receipts, for the manifest and for the nodes of a cluster.

A stage's version is the digest of the source files that decide its output (`source_closure`), so
that a receipt written by other code is never taken for one of ours, and one written by the same
code stays good whatever else changes. All nodes of a cluster must report the
same digests; a mismatch stops the build before work starts.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib import metadata
from pathlib import Path

from xtrove.runtime.source_closure import SourceTree

ROOT = Path(__file__).resolve().parents[2]
STAGES = "xtrove.stages"
DECISIVE = (
    "datasketch",
    "license-expression",
    "numpy",
    "pyarrow",
    "tree-sitter",
    "tree-sitter-c",
    "tree-sitter-c-sharp",
    "tree-sitter-cpp",
    "tree-sitter-go",
    "tree-sitter-java",
    "tree-sitter-javascript",
    "tree-sitter-kotlin",
    "tree-sitter-php",
    "tree-sitter-python",
    "tree-sitter-ruby",
    "tree-sitter-rust",
    "tree-sitter-scala",
    "tree-sitter-swift",
    "tree-sitter-typescript",
    "webdataset",
    "xxhash",
)
"""Packages whose version can change published bytes."""
OURS = ("ingest", "extract", "dedupe", "shards", "train", "evaluate")


@functools.cache
def _tree() -> SourceTree:
    return SourceTree(ROOT)


@functools.cache
def stage_version(stage: str) -> str:
    """The version of a stage: its module and all that it imports of ours, the decisive packages,
    and the minor version of Python, whose `ast`, `re` and `unicodedata` decide what is read."""
    parts = [_tree().digest([f"{STAGES}.{stage}"])]
    parts.append(".".join(platform.python_version_tuple()[:2]))
    parts += [f"{name}=={version}" for name, version in packages().items()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@functools.cache
def worker_code() -> str:
    """A digest of all code of ours that runs on workers: every stage, and what calls it."""
    stages = _tree().modules_in(STAGES)
    return _tree().digest(["xtrove.runtime.node_contract", *stages])[:16]


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
        "code": worker_code(),
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
