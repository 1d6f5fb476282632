"""What the tasks of a source need of the config, as the driver wrote it down."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dedupe import DecontaminateSet, DedupeOptions, EvaluationIndex
from extract import ExtractOptions, RedactKind
from extract.redaction import published_name
from ingest import LANGUAGES, Part, Slice
from ingest.licenses import LicensePolicy
from ingest.sources import SourceOptions
from ingest.sources.base import OPTED_OUT
from ingest.transport import HubOptions, ReadLimits
from shards.format import FORGOTTEN, SplitOptions, repo_sha256
from xtrove.runtime import Workspace

_SETS: TypeAdapter[tuple[DecontaminateSet, ...]] = TypeAdapter(tuple[DecontaminateSet, ...])


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractSettings:
    """The settings of one source."""

    name: str
    revision: str
    source: SourceOptions
    policy: LicensePolicy
    extract: ExtractOptions
    dedupe: DedupeOptions
    splits: SplitOptions
    decontaminate: tuple[DecontaminateSet, ...]
    holdouts: tuple[str, ...]
    """Keys of the holdout tasks whose sets every source is held against."""
    opted_out: frozenset[str]
    """Digests of owners and repositories that the config leaves out."""
    forgotten: frozenset[str]
    """Digests of repositories that were forgotten."""

    def refuses(self, repo: str) -> str:
        """Why no record of a repository is read; "" where nothing speaks against it."""
        if not repo or not (self.opted_out or self.forgotten):
            return ""
        names, owner = _digests(repo, self.extract.redact)
        if not names.isdisjoint(self.forgotten):
            return FORGOTTEN
        return OPTED_OUT if owner in self.opted_out or not names.isdisjoint(self.opted_out) else ""


@functools.lru_cache(maxsize=4096)
def _digests(repo: str, kinds: tuple[RedactKind, ...]) -> tuple[frozenset[str], str]:
    """Of the repository, as it is and as a dataset names it, and of its owner.

    Cached: records of one repository stand together.
    """
    names = frozenset(map(repo_sha256, (repo, published_name(repo, kinds))))
    return names, repo_sha256(repo.partition("/")[0])


@functools.lru_cache(maxsize=8)
def settings(path: Path) -> ExtractSettings:
    """The settings of a source. Cached: a worker reads many slices of one source."""
    data: dict[str, Any] = json.loads(path.read_bytes())
    adapter: TypeAdapter[SourceOptions] = TypeAdapter(SourceOptions)
    return ExtractSettings(
        name=data["name"],
        revision=data["revision"],
        source=adapter.validate_python(data["source"]),
        policy=LicensePolicy.model_validate(data["policy"]),
        extract=ExtractOptions.model_validate(data["extract"]),
        dedupe=DedupeOptions.model_validate(data["dedupe"]),
        splits=SplitOptions.model_validate(data["splits"]),
        decontaminate=_SETS.validate_python(data["decontaminate"]),
        holdouts=tuple(data["holdouts"]),
        opted_out=frozenset(data["opted_out"]),
        forgotten=frozenset(data["forgotten"]),
    )


def share(spec: Mapping[str, Any]) -> ReadLimits:
    """What one task may ask of the Hub: `hub` of the config over the tasks that run at once.

    Neither is part of a key: how fast a slice was read changes nothing in it.
    """
    return HubOptions.model_validate(spec.get("hub", {})).limits(int(spec.get("slots", 1)))


def read_slice(path: Path) -> Slice:
    """The slice the driver wrote down."""
    data = json.loads(path.read_bytes())
    parts = tuple(
        Part(**{**part, "meta": tuple((key, value) for key, value in part["meta"])})
        for part in data.pop("parts")
    )
    return Slice(**data, parts=parts)


def index_of(chosen: ExtractSettings, workspace: Workspace, stream: str) -> EvaluationIndex | None:
    """The index that a slice is held against, if there is any set.

    What sources hold out is large and sorted by language: a stream of one language is held
    against the sets of that language only, a mixed one against all.
    """
    names = [stream] if stream in LANGUAGES else list(LANGUAGES)
    sets = list(chosen.decontaminate)
    for key in chosen.holdouts:
        for path in sorted(workspace.folder("holdout", key).glob("*.jsonl")):
            name, _, language = path.stem.rpartition("+")
            if language in names:
                sets.append(
                    DecontaminateSet(name=name.replace("+", "/"), path=path, language=language)
                )
    if not sets:
        return None
    return _index(_SETS.dump_json(tuple(sets)).decode(), chosen.dedupe.model_dump_json())


@functools.lru_cache(maxsize=1)
def _index(sets: str, options: str) -> EvaluationIndex:
    """The index of sets (JSON of both arguments); a worker keeps the last one it built."""
    return EvaluationIndex.build(
        _SETS.validate_json(sets), DedupeOptions.model_validate_json(options)
    )
