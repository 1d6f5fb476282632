"""What a source is: one object with its options, how it is listed, how it is read, its terms.

Method: a kind of source is a folder of `ingest.sources` whose `source.py` makes one `Source`, and a
line in `ingest.sources.registry`. Whatever else of the project depends on a kind asks the object.
Listing runs on the driver, once; reading on workers, slice by slice. `Sample` makes both of them
small: `xtrove doctor` lists some files of each stream and reads their first rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ingest.errors import SourceError
from ingest.files import Progress
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Quarantine, Skip, Slice, SourceFile, SourcePair
from ingest.sources.base.options import CommonOptions
from ingest.transport import ReadLimits

Records = Iterator[SourceFile | SourcePair | Skip]
SAMPLE_FILES = 4
"""Of each stream, and `MOST_FILES` of all together, unless a source states another number."""
MOST_FILES = 16
NO_LICENSE_REMEDY = (
    "Every sampled row would be refused, for its licence is not known: state `declared_licenses` "
    "for this source if you know them."
)
ROWS_REMEDY = "Every sampled row would be refused: see the reasons."
BROKEN_REMEDY = "The file itself is broken: download or write it again."
T = TypeVar("T")


class Named(Protocol):
    """A file of a listing."""

    @property
    def name(self) -> str:
        """Its path relative to the source."""

    @property
    def size(self) -> int:
        """Its bytes; negative when unknown."""


class Sample:
    """Limits a plan to some files of each stream, and keeps what there is in all.

    What is kept is complete before any file is opened. Files on this machine are not digested, so
    that the revision of such a plan is not that of a build.
    """

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        """Stream (a language, or "" for mixed files) -> files listed."""
        self.bytes = 0
        """Of all files listed."""
        self.chosen: list[Named] = []
        self.left_out = 0
        """Files listed and not chosen."""

    def choose(
        self,
        items: Iterable[T],
        stream: Callable[[T], str],
        file: Callable[[T], Named],
        most: int | None = None,
    ) -> list[T]:
        """Items at even distances in each stream, in their order."""
        streams: dict[str, list[int]] = {}
        listed = list(items)
        for number, item in enumerate(listed):
            streams.setdefault(stream(item), []).append(number)
        most = most or max(1, min(SAMPLE_FILES, MOST_FILES // max(1, len(streams))))
        kept = sorted(chosen for numbers in streams.values() for chosen in spread(numbers, most))
        self.files = {key: len(numbers) for key, numbers in sorted(streams.items())}
        self.bytes = sum(max(file(item).size, 0) for item in listed)
        self.chosen = [file(listed[number]) for number in kept]
        self.left_out = len(listed) - len(kept)
        return [listed[number] for number in kept]


def choose(
    sample: Sample | None,
    items: Iterable[T],
    stream: Callable[[T], str],
    file: Callable[[T], Named],
    most: int | None = None,
) -> list[T]:
    """The items of a sample, or all of them without one."""
    return list(items) if sample is None else sample.choose(items, stream, file, most)


class PlanSource(Protocol):
    """Lists a source at the revision found now; places in the options are absolute.

    `slice_bytes` is the size wanted of a slice (default: a function of the input); `progress` hears
    of the bytes that were digested; `limits` hold for requests to the Hub and other places. Raises
    `SourceError` when the source cannot be used, `TransientFault` when it may be later.
    """

    def __call__(
        self,
        options: Any,
        name: str,
        policy: LicensePolicy,
        slice_bytes: int | None = None,
        progress: Progress | None = None,
        limits: ReadLimits | None = None,
        sample: Sample | None = None,
    ) -> Listing: ...


class ReadSource(Protocol):
    """The records of one slice, one for each row or file, `row` strictly increasing.

    `revision` is that of the listing. With `sampled` few rows will be taken, so that nothing is
    asked for far ahead. Raises `ChangedInput` when the input is no longer what was planned,
    `TransientFault` when reading may work later.
    """

    def __call__(
        self,
        options: Any,
        name: str,
        policy: LicensePolicy,
        slice_: Slice,
        revision: str,
        limits: ReadLimits | None = None,
        *,
        sampled: bool = False,
    ) -> Records: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldoutRow:
    """A row of a validation or test part, to be kept out of what is trained on."""

    set: str
    """Name of the evaluation set, such as `codesearchnet/test`."""
    item: str
    """Its identity in that set."""
    language: str
    query: str
    """The whole docstring, as it is."""
    code: str
    """With its documentation, where the data has it."""


class ReadHoldout(Protocol):
    """Every row that a source holds out, in a fixed order."""

    def __call__(
        self,
        options: Any,
        revision: str,
        progress: Progress | None = None,
        limits: ReadLimits | None = None,
    ) -> Iterator[HoldoutRow]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A kind of source."""

    options: type[CommonOptions]
    """The section of the config; the default of its field `kind` is the name of the kind."""
    plan: PlanSource
    read: ReadSource
    terms: str
    """The least that binds whoever receives the content, wherever it lies: see `ingest.terms`."""
    holdout: ReadHoldout | None = None
    """Reads what is held out where the options say `holds_out`."""
    flags_rows: bool = False
    """Whether rows are flagged as vendored or generated by the data set, and left out."""
    license_remedy: str = NO_LICENSE_REMEDY
    """What to do where no row has a known licence."""
    rows_remedy: str = ROWS_REMEDY
    """What to do where no row is one of this kind."""

    @property
    def kind(self) -> str:
        """The word of the config."""
        return str(self.options.model_fields["kind"].default)


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """The first item and some more at even distances, at most `most`."""
    return items[:: max(1, -(-len(items) // most))]


def unusable(
    message: str, path: str, quarantined: Sequence[Quarantine], remedy: str
) -> SourceError:
    """The error of a source of which every file was set aside; `remedy` is for other columns."""
    if not quarantined:
        return SourceError(message, value=path, remedy=remedy)
    first = quarantined[0]
    broken = first.reason.startswith("unreadable")
    return SourceError(
        message,
        value=f"{path} (first: {first.name}: {first.reason})",
        remedy=BROKEN_REMEDY if broken else remedy,
    )
