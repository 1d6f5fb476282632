"""Every kind of report, in the order in which a path is tried: a model may hold a result file."""

from __future__ import annotations

from typing import Final

from evaluate.report import dataset, evaluation, training
from evaluate.report.page import Report

REPORTS: Final[tuple[Report, ...]] = (training.REPORT, evaluation.REPORT, dataset.REPORT)
