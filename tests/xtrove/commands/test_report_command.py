"""`xtrove report` as people type it: what it takes, where the page goes, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evaluate.report.page import MARK
from shards.read.dataset import Dataset
from shards.write.removals import read_removals, removal_files
from tests.evaluate import report_pages
from tests.train.runs import dataset as pairs_to_train_on
from tests.xtrove import support
from xtrove.cli.app import app
from xtrove.commands.reporting import RemovedCode
from xtrove.core.errors import XtroveError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset."""
    return report_pages.dataset(tmp_path_factory.mktemp("data")).path


def called(*words: object) -> tuple[int, str]:
    """Exit code and all that was said by a call in this process."""
    done = CliRunner().invoke(app, ["report", *map(str, words)])
    if isinstance(done.exception, XtroveError):
        return done.exception.exit_code, f"{done.exception.message} {done.exception.remedy}"
    return done.exit_code, done.output


def wrote(page: Path, *words: object) -> str:
    """The text of the page that a call has to write."""
    code, output = called(*words)
    assert code == 0, output
    assert str(page) in output
    return page.read_text("utf-8")


def test_a_dataset_beside_it_and_never_in_it(path: Path) -> None:
    before = _contents(path)
    text = wrote(path.parent / "dataset-report.html", path)
    assert text.encode().startswith(MARK) and "Near-duplicates" in text
    for inside in (path / "report.html", path / "data" / "python" / "report.html"):
        code, output = called(path, "--output", inside)
        assert code == 2 and "would stand in the dataset" in output
        assert not inside.exists()
    assert _contents(path) == before


def _contents(path: Path) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_a_report_is_replaced_and_nothing_else_is(path: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    first = wrote(page, path, "--output", page)
    assert wrote(page, path, "--output", page) == first
    assert wrote(page, path, "--output", page, "--seed", 5) != first
    assert [one.name for one in page.parent.iterdir()] == ["page.html"]
    page.write_text("mine")
    code, output = called(path, "--output", page)
    assert code == 2 and "exists and is not a report" in output
    assert page.read_text() == "mine"
    link = tmp_path / "link.html"
    link.symlink_to(page)
    assert called(path, "--output", link)[0] == 2
    code, output = called(path, "--output", tmp_path)
    assert code == 2 and "is a folder" in output
    assert called(path, "--output", page / "under" / "a-file.html")[0] == 1


def test_a_run_and_a_result(path: Path, tmp_path: Path) -> None:
    run = report_pages.run(tmp_path, path)
    assert "Loss of each step" in wrote(tmp_path / "model-report.html", run)
    held = tmp_path / "result"
    held.mkdir()
    (held / "result.json").write_bytes(report_pages.result(tmp_path / "made").to_json())
    text = wrote(tmp_path / "result-report.html", held)
    assert "Recall@k" in text
    assert wrote(held / "result-report.html", held / "result.json") == text
    code, output = called(held, "--work", tmp_path)
    assert code == 2 and "--work is for a dataset" in output


def test_what_is_nothing_of_ours(path: Path, tmp_path: Path) -> None:
    for place, words in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "is none of them")):
        code, output = called(place)
        assert code == 2 and words in output
        assert "manifest.json" in output and "run.json" in output and "result.json" in output
    half = tmp_path / "half"
    (half / ".xtrove").mkdir(parents=True)
    code, output = called(half)
    assert code == 2 and "unfinished build" in output
    wrong = tmp_path / "result.json"
    wrong.write_text(json.dumps({"format": "xtrove-evaluation-1"}))
    code, output = called(wrong)
    assert code == 2 and "is not a result of this version" in output
    assert not list(tmp_path.glob("*.html"))


def test_what_is_damaged_is_named(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(path, broken)
    index = next(broken.glob("data/*/train-00000.idx.arrow"))
    index.write_bytes(index.read_bytes()[:100])
    code, output = called(broken)
    assert code == 1 and index.name in output and f"xtrove verify {broken}" in output
    (broken / "funnel.json").write_text("{}")
    assert called(broken)[0] == 1
    run = report_pages.run(tmp_path, path)
    (run / "trainer_state" / "run.json").write_text("[1]")
    code, output = called(run)
    assert code == 1 and "holds a list" in output
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.slow
def test_as_a_program_with_exit_codes(path: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = support.xtrove("report", path, "--output", page)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{page}  (dataset 'tiny', ")
    assert done.stderr == ""
    done = support.xtrove("report", tmp_path / "nowhere")
    assert done.returncode == 2 and "report takes a dataset" in done.stderr


@pytest.mark.slow
def test_a_real_build_has_its_diffs(tmp_path: Path) -> None:
    library = support.library(tmp_path / "library", limit=900_000)
    # A copy of a module with one name changed: its functions are near-duplicates.
    source = next(one for one in sorted(library.iterdir()) if one.stat().st_size > 60_000)
    copy = source.read_text("utf-8").replace("return None", "return NotImplemented")
    (library / "copy_of_it.py").write_text(copy.replace(" self.", " self.other_"))
    config = support.library_config(library)
    data = tmp_path / "data"
    support.build(support.write_config(tmp_path / "c.yaml", config), "--output", data)
    text = wrote(tmp_path / "data-report.html", data)
    assert 'class="plus"' in text and "No diffs" not in text

    gone = [
        removal.id
        for file in removal_files(data)
        for removal in read_removals(file)
        if removal.reason == "near_duplicate"
    ]
    result = RemovedCode(data / ".xtrove")(gone)
    assert set(result) == set(gone) and gone
    assert all(result[one]["id"] == one for one in gone)
    assert Dataset.open(data).get(gone[0]) is None

    (data / ".xtrove").rename(tmp_path / "kept-elsewhere")
    assert "No diffs" in wrote(tmp_path / "data-report.html", data)
    again = wrote(tmp_path / "data-report.html", data, "--work", tmp_path / "kept-elsewhere")
    assert again == text
    for items in (tmp_path / "kept-elsewhere").glob("files/extract/*/items.npy"):
        items.write_bytes(b"\x93NUMPY broken")
    assert "No diffs" in wrote(
        tmp_path / "data-report.html", data, "--work", tmp_path / "kept-elsewhere"
    )


@pytest.mark.slow
def test_a_real_run_has_its_curves(tmp_path: Path) -> None:
    data = pairs_to_train_on(tmp_path / "data", python=260, go=60)
    model = tmp_path / "model"
    sets = (f"data.path={data}", "threads=1", "steps=12", "validation.every=6")
    words = [word for set_ in sets for word in ("--set", set_)]
    done = support.xtrove("train", "config/train_smoke.yaml", "--output", model, *words)
    assert done.returncode == 0, done.stderr
    text = wrote(tmp_path / "model-report.html", model)
    for shown in ("Learning rate", "Temperature", "Empty positives", "Tokens a second", "nDCG@10"):
        assert shown in text
    assert str(tmp_path) not in text
    best = wrote(tmp_path / "best.html", model / "trainer_state" / "best", "--output",
                 tmp_path / "best.html")  # fmt: skip
    assert "No curves" in best
