"""What the tests of reports share: one dataset, one run, one result, and the page of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.measure.result import Evaluation
from evaluate.report.evaluation import result_page
from evaluate.report.page import Request, render
from evaluate.report.training import training_page
from tests.evaluate import report_pages
from tests.evaluate.report_pages import Made


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A dataset of 100 samples."""
    return report_pages.dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="package")
def run_folder(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run; a test that changes it makes its own."""
    return report_pages.run(tmp_path_factory.mktemp("run"), made.path)


@pytest.fixture(scope="package")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Two systems, 40 questions."""
    return report_pages.result(tmp_path_factory.mktemp("result"))


@pytest.fixture(scope="package")
def pages(made: Made, run_folder: Path, evaluation: Evaluation) -> dict[str, bytes]:
    """A page of each kind."""
    return {
        "dataset": render(made.page()),
        "training": render(training_page(run_folder, Request())),
        "evaluation": render(result_page(evaluation)),
    }
