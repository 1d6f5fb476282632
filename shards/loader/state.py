"""What a reader is asked for and what it answers: selection, place in an epoch, batch.

A `State` is the whole of what a trainer keeps: dataset, options (as a digest), seed, epoch and
the number of the next global batch. It is independent of ranks and of loader processes, since a
rank takes `batch[rank::world]` of every global batch. `window` and `before` are a short cut:
the window of that batch and how many batches the windows before it have, so that to resume plans
one window whatever the size of the epoch; a state without them (-1) is located by planning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from shards.format import SPLITS, Sample
from shards.loader.permutation import Positions
from xtrove.core import Misuse


class StateError(Misuse):
    """A state that does not belong to this reader and these options."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Select:
    """Which samples a reader has; decided from the index alone."""

    languages: tuple[str, ...] | None = None
    """None for all; one that the dataset does not have is an error."""
    splits: tuple[str, ...] = ("train",)
    min_quality: int = 0
    """0..1000."""
    license_classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        unknown = [split for split in self.splits if split not in SPLITS]
        if unknown or not self.splits:
            raise ValueError(f"splits are {self.splits!r}; choose from {', '.join(SPLITS)}")

    @property
    def needs_index(self) -> bool:
        """Whether rows have to be looked at one by one."""
        return self.min_quality > 0 or self.license_classes is not None

    def describe(self) -> str:
        """For people: what is asked of a sample."""
        parts = [f"split {' or '.join(self.splits)}"]
        if self.languages is not None:
            parts.append(f"language {' or '.join(self.languages)}")
        if self.min_quality:
            parts.append(f"quality of at least {self.min_quality}")
        if self.license_classes is not None:
            parts.append(f"licence class {' or '.join(self.license_classes)}")
        return ", ".join(parts)

    def as_list(self) -> list[Any]:
        """For a digest: order and repetition do not matter."""
        return [
            sorted(set(self.languages)) if self.languages is not None else None,
            sorted(set(self.splits)),
            self.min_quality,
            sorted(set(self.license_classes)) if self.license_classes is not None else None,
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The place in an epoch; JSON-able."""

    dataset: str
    """The reader's digest."""
    plan: str
    """Digest of options and selection."""
    seed: int
    epoch: int
    batch: int
    """The number of the next global batch of the epoch."""
    window: int = -1
    before: int = -1
    """Batches in the windows before `window`."""

    def as_dict(self) -> dict[str, str | int]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> State:
        """The state in a JSON object. `StateError` where it is none."""
        kinds = {field.name: str if field.name in ("dataset", "plan") else int for field in _FIELDS}
        known = {name: value[name] for name in kinds if name in value}
        wrong = [name for name, entry in known.items() if type(entry) is not kinds[name]]
        missing = sorted({"dataset", "plan", "seed", "epoch", "batch"} - known.keys())
        unknown = sorted(set(value) - set(kinds))
        if wrong or missing or unknown:
            raise StateError(
                f"not a reader's state: missing {missing}, unknown {unknown}, of another type "
                f"{wrong} in {dict(value)!r:.300}"
            )
        state = cls(**known)  # type: ignore[arg-type]  # each type was checked above
        if state.epoch < 0 or state.batch < 0 or (state.window >= 0 and state.before < 0):
            raise StateError(f"not a reader's state: a negative number in {dict(value)!r:.300}")
        return state


_FIELDS = fields(State)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """This rank's share of one global batch."""

    epoch: int
    number: int
    """Of the global batch in its epoch, from 0."""
    language: str
    """"" where languages are mixed."""
    size: int
    """Of the global batch."""
    samples: tuple[Sample, ...]
    """`global[rank::world]`; empty for the last ranks of a batch smaller than the world."""
    positions: Positions
    """Of these samples in the reader, shape (len(samples),)."""
    window: int
    before: int
    """Batches in the windows before."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return self._plain() == other._plain() and np.array_equal(self.positions, other.positions)

    __hash__ = None  # type: ignore[assignment]  # it holds an array

    def _plain(self) -> tuple[Any, ...]:
        return (
            *(self.epoch, self.number, self.language, self.size),
            *(self.samples, self.window, self.before),
        )
