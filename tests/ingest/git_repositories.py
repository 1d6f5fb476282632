"""Real git repositories for tests, and what the source `directory` makes of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ingest.licenses.policy import LicensePolicy
from ingest.records import Listing, Skip, SourceFile, SourcePair
from ingest.sources.directory.source import DirectoryOptions
from ingest.sources.registry import plan, read

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this "
    'software and associated documentation files (the "Software"), to deal in the Software '
    "without restriction. The above copyright notice and this permission notice shall be "
    "included in all copies or substantial portions of the Software."
)
GPL = "GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007"
ISOLATED = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
}


def git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], env=ISOLATED, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def checkout(root: Path, files: dict[str, str], remote: str = "") -> str:
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q", "-b", "main")
    if remote:
        git(root, "remote", "add", "origin", remote)
    put(root, files)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    return git(root, "rev-parse", "HEAD")


def run(root: Path, **options: object) -> tuple[Listing, dict[str, SourceFile | SourcePair | Skip]]:
    chosen = DirectoryOptions.model_validate({"path": str(root), **options})
    listing = plan(chosen, "src", LicensePolicy())
    records: dict[str, SourceFile | SourcePair | Skip] = {}
    for slice_ in listing.slices:
        for part, record in zip(
            slice_.parts,
            read(chosen, "src", LicensePolicy(), slice_, listing.revision),
            strict=True,
        ):
            records[part.name] = record
    return listing, records


def files(records: dict[str, SourceFile | SourcePair | Skip]) -> dict[str, SourceFile]:
    return {name: one for name, one in records.items() if isinstance(one, SourceFile)}
