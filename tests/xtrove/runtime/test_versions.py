"""What decides the version of a stage, so that a receipt of other code is never taken for ours."""

from __future__ import annotations

import platform
from importlib import metadata

import pytest

from xtrove.runtime.versions import packages, published_versions, stage_version
from xtrove.stages import extract


def test_a_stage_depends_on_the_minor_version_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    here = stage_version(extract.ROOMS)
    major, minor, patch = platform.python_version_tuple()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (major, minor, f"{patch}1"))
    assert stage_version(extract.ROOMS) == here
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (major, f"{minor}1", patch))
    assert stage_version(extract.ROOMS) != here


def test_the_reader_of_licence_expressions_is_decisive() -> None:
    version = metadata.version("license-expression")
    assert packages()["license-expression"] == version
    assert published_versions()["license-expression"] == version
