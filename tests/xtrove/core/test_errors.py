"""The base of all exceptions: what is printed, the exit codes, the way through a process."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path

import pytest

import xtrove
from ingest.errors import ChangedInput, SourceError, TransientFault
from xtrove.core.errors import DamagedData, Interrupted, Misuse, XtroveError

ROOT = Path(__file__).resolve().parents[3]
ERRORS = (
    (XtroveError("it failed", "try again"), 1),
    (Misuse("no such key: a", remedy="Name b."), 2),
    (Interrupted("stopped"), 130),
    (DamagedData("a.tar ends early"), 1),
    (SourceError("no folder", value="/a", remedy="Name one."), 2),
    (ChangedInput("a.jsonl"), 2),
    (TransientFault("a.jsonl", "timed out"), 1),
)


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_comes_back_from_another_process(error: XtroveError, code: int) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error) and isinstance(back, xtrove.XtroveError)
    assert (back.message, back.remedy, str(back)) == (error.message, error.remedy, str(error))
    assert back.exit_code == code


def test_the_text_holds_the_remedy() -> None:
    assert str(XtroveError("it failed", "try again")) == "it failed: try again"
    assert (
        str(SourceError("no folder", value="/a", remedy="Name one.")) == "no folder: /a. Name one."
    )


@pytest.mark.parametrize(
    "path",
    sorted(
        path.relative_to(ROOT).as_posix()
        for package in ("ingest", "dedupe", "shards", "evaluate", "train", "xtrove")
        for path in (ROOT / package).rglob("*.py")
        if "Exception)" in path.read_text(encoding="utf-8")
        or "ValueError)" in path.read_text(encoding="utf-8")
        or "RuntimeError)" in path.read_text(encoding="utf-8")
    ),
)
def test_every_public_exception_has_the_base(path: str) -> None:
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for name, value in vars(module).items():
        own = isinstance(value, type) and value.__module__ == module.__name__
        if own and issubclass(value, Exception) and not name.startswith("_"):
            assert issubclass(value, XtroveError), f"{path}: {name}"
