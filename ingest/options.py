"""What every kind of source takes from the config.

Method: a pydantic model that the options of each kind extend; wrong words are refused with the
nearest right one. Limits: `max_per_language` is only carried here, for the build that counts.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ingest.languages import LANGUAGES, suggestion
from ingest.licenses import is_known, normalise

DECLARED = "declared by config"


def _languages(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not value:
        raise ValueError(f"languages is empty: leave it out for all of {', '.join(LANGUAGES)}")
    for item in value:
        if item not in LANGUAGES:
            near = suggestion(item)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(LANGUAGES)}"
            raise ValueError(f"unknown language {item!r}: {hint}")
    return tuple(sorted(set(value)))


def _spdx(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in value:
        if not is_known(item):
            raise ValueError(f"{item!r} is no SPDX licence: see https://spdx.org/licenses")
    return normalise(value)


def _local(value: str) -> str:
    if "://" in value:
        raise ValueError(
            f"{value!r} is a remote path: this version reads local folders only; "
            "download it first and name the folder"
        )
    if not value.strip() or "\0" in value:
        raise ValueError(f"{value!r} is no path: name a local file or folder")
    return value


LocalPath = Annotated[str, AfterValidator(_local)]
"""A local path as the config has it; `ingest.sources.resolve_paths` makes it absolute."""


class CommonOptions(BaseModel):
    """The fields that all kinds share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    languages: Annotated[tuple[str, ...] | None, AfterValidator(_languages)] = None
    max_per_language: Annotated[int, Field(ge=1)] | None = None
    declared_licenses: Annotated[tuple[str, ...], AfterValidator(_spdx)] = ()
    """Hold where the input itself names no licence that is known."""

    def wanted(self) -> frozenset[str]:
        """The languages to read."""
        return frozenset(LANGUAGES if self.languages is None else self.languages)

    def settled(self, licenses: tuple[str, ...], evidence: str) -> tuple[tuple[str, ...], str]:
        """The licences found with their evidence, or else those that the config declares."""
        known = normalise(licenses)
        if known or not self.declared_licenses:
            return licenses, evidence
        return self.declared_licenses, DECLARED
