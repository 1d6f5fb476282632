"""What every kind of source takes from the config.

Method: a pydantic model that the options of each kind extend; wrong words are refused with the
nearest right one. Limits: `max_per_language` is only carried here, for the build that counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ingest.languages import LANGUAGES, suggestion
from ingest.licenses import RESTRICTED, is_known, near_identifier, normalise
from ingest.sources.base.opt_out import opt_out_names, read_opt_out
from ingest.storage import absolute
from ingest.transport import without_user

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
            raise ValueError(f"{item!r} is no SPDX licence: {near_identifier(item)}")
    return normalise(value)


def local_path(value: str) -> str:
    """The path, if it is one of this machine. Raises ValueError."""
    if "://" in value:
        raise ValueError(
            f"{without_user(value)!r} is a remote path: this version reads local folders only; "
            "download it, or clone it, first and name the folder"
        )
    if not value.strip() or "\0" in value:
        raise ValueError(f"{value!r} is no path: name a local file or folder")
    return value


class CommonOptions(BaseModel):
    """The fields that all kinds share; each kind adds its own, and `kind` itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    places: ClassVar[tuple[str, ...]] = ("path",)
    """The fields that say where something lies; they do not decide what is read."""

    if TYPE_CHECKING:
        # Each kind declares it with its one value, after the fields that are common to all.
        kind: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    languages: Annotated[tuple[str, ...] | None, AfterValidator(_languages)] = None
    max_per_language: Annotated[int, Field(ge=1)] | None = None
    declared_licenses: Annotated[tuple[str, ...], AfterValidator(_spdx)] = ()
    """Hold where the input itself names no licence that is known."""
    opt_out: Annotated[tuple[str, ...], AfterValidator(opt_out_names)] = ()
    """Owners, and repositories as `owner/repo`, whose records are refused as `opted_out`."""
    opt_out_files: tuple[str, ...] = ()
    """Local files of such names, one a line; the driver adds them to `opt_out`."""

    def wanted(self) -> frozenset[str]:
        """The languages to read."""
        return frozenset(LANGUAGES if self.languages is None else self.languages)

    @property
    def place(self) -> str:
        """The path or URI that is read; "" for a kind without one."""
        return str(getattr(self, "path", ""))

    @property
    def keeps_split(self) -> bool:
        """Whether records carry a split of the source itself."""
        return False

    @property
    def holds_out(self) -> bool:
        """Whether the source has rows that must be kept out of everything trained on."""
        return False

    def resolved(self, base: Path) -> Self:
        """The same options as workers need them: places absolute, lists of opt-outs read.

        `~` is home, other local paths are relative to `base`, URIs stay as they are. Raises
        `SourceError` for a list that cannot be read.
        """
        paths = {name: getattr(self, name) for name in self.places}
        values: dict[str, object] = {
            name: absolute(path, base) for name, path in paths.items() if path is not None
        }
        if self.opt_out_files:
            lists = [base.absolute() / Path(name).expanduser() for name in self.opt_out_files]
            names = {*self.opt_out, *(name for path in lists for name in read_opt_out(path))}
            values |= {"opt_out": tuple(sorted(names)), "opt_out_files": ()}
        return self.model_copy(update=values)

    def settled(self, licenses: tuple[str, ...], evidence: str) -> tuple[tuple[str, ...], str]:
        """The licences found with their evidence, or else those that the config declares."""
        known = normalise(licenses)
        if known or RESTRICTED in licenses or not self.declared_licenses:
            return licenses, evidence
        return self.declared_licenses, DECLARED
