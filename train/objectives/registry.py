"""The objectives that `objective.kind` chooses from. A new one is a module and a line here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from train.objectives.distillation import Distillation
from train.objectives.maxsim import MaxSim
from train.objectives.mix import Mix
from train.objectives.xtr import Xtr


def _xtr_by_default(options: Any) -> Any:
    return {"kind": "xtr", **options} if isinstance(options, dict) else options


AnyObjective = Annotated[
    Xtr | MaxSim | Mix | Distillation,
    Field(discriminator="kind"),
    BeforeValidator(_xtr_by_default),
]
"""Any objective: a pydantic union told apart by `kind`, which is `xtr` where it is left out."""
