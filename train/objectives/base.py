"""What every objective is: options in the config, a loss on a batch, memory it needs.

An objective is one pydantic model: its fields are the keys under `objective:` in the config, its
methods are all that the trainer asks of it. `train.objectives.registry` lists them.
These modules import no torch: a config is checked where torch is not installed. The arithmetic is
imported when a loss is computed (`train.objectives.terms`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

    from train.objectives.terms import LossInputs

LOWEST_TEMPERATURE: Final = 0.01
HIGHEST_TEMPERATURE: Final = 1.0
POOL_SHARE: Final = 0.01
LEAST_K: Final = 64
MOST_K: Final = 2048


class Objective(BaseModel, ABC):
    """What a run learns."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    kind: str
    """Its name in the config; subclasses narrow it to one word."""
    temperature: Annotated[float, Field(ge=LOWEST_TEMPERATURE, le=HIGHEST_TEMPERATURE)] = 0.05
    """What scores are divided by, at the first step."""
    learn_temperature: bool = True

    needs_teacher: ClassVar[bool] = False
    """Whether it learns from the scores of mined negatives (`negatives.path`)."""

    @abstractmethod
    def loss(self, inputs: LossInputs, temperature: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss, summed over the queries, with its graph; and facts for the log."""

    @abstractmethod
    def state_bytes(self, *, query_tokens: int, documents: int, pool_tokens: int) -> int:
        """Bytes kept from the scores until the backward pass, chunks of scores left out.

        `query_tokens` are those of this process, `documents` and `pool_tokens` of all.
        """

    @property
    def k_start(self) -> float:
        """What k is multiplied with at the first step."""
        return 1.0

    def k(self, pool_tokens: int, factor: float = 1.0) -> int:
        """Tokens that each query token retrieves from the pool; 0 where nothing is retrieved."""
        return 0


class RetrievingObjective(Objective):
    """An objective on XTR scores: each query token retrieves k tokens of the pool."""

    k_train: Annotated[int, Field(ge=1)] | None = None
    """Tokens each query token retrieves; None: 1% of the token pool, within 64..2048."""
    k_warmup: Annotated[float, Field(ge=1, le=64)] = 4.0
    """k starts at so many times its size and comes down to it over the first tenth of the steps."""

    @property
    def k_start(self) -> float:
        """See `Objective`."""
        return self.k_warmup

    def k(self, pool_tokens: int, factor: float = 1.0) -> int:
        """See `Objective`."""
        return train_k(max(1, pool_tokens), self.k_train, factor)

    def state_bytes(self, *, query_tokens: int, documents: int, pool_tokens: int) -> int:
        """The winner of every document that a query token retrieved, with its block's indexes."""
        return 16 * query_tokens * min(self.k(pool_tokens, self.k_start), documents)


def train_k(pool_tokens: int, override: int | None = None, factor: float = 1.0) -> int:
    """Tokens that each query token retrieves from a pool: 1% within 64..2,048, or `override`.

    `factor` multiplies the result (a warm-up goes from 4 to 1); never above the pool, never
    below 1.
    """
    if factor <= 0:
        raise ValueError(f"the factor of k is {factor}: above 0")
    base = override or min(max(round(POOL_SHARE * pool_tokens), LEAST_K), MOST_K)
    return max(1, min(round(base * factor), pool_tokens))
