"""Finished builds that several modules read: made once a run, whichever process needs one first."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tests.xtrove import support


def run_folder(factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of this run share, and no other run."""
    base = factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def library_config(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A config over a part of the standard library, in several slices."""
    folder = run_folder(tmp_path_factory, worker_id) / "library"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        config = folder / "config.yaml"
        if not config.exists():
            source = support.library(folder / "source")
            support.write_config(config, support.library_config(source))
    return config


@pytest.fixture(scope="session")
def library_dataset(library_config: Path) -> Path:
    """The dataset of that config, as one undisturbed run without workers makes it; to be read, or
    copied, never written to."""
    folder = library_config.parent
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Finished once it has its record; a build that was stopped goes on.
        if not (folder / "built").exists():
            support.build(library_config, "--output", folder / "dataset")
            (folder / "built").touch()
    return folder / "dataset"
