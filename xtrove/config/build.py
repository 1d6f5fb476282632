"""The config of a build: YAML checked against typed models before any work starts.

Defaults, file and `--set` are merged in that order; an unknown key is refused with the key
that was probably meant; a key written twice in the file is refused too, since YAML would
silently take the last. The digest leaves out what cannot change the data: output, work,
workers and how fast the Hub is asked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from dedupe import DecontaminateSet, DedupeOptions, QueryCapOptions
from extract import ExtractOptions, FilterOptions, RedactKind, RowLimits
from ingest.licenses import LicensePolicy
from ingest.sources import SOURCES, SourceOptions, source_of
from ingest.transport import HubOptions
from shards.format import ShardOptions
from xtrove.config.faults import faults_of
from xtrove.core import Misuse, digest

NOT_IN_DIGEST = {"output", "work", "workers", "hub"}
MAX_OPT_OUTS = 10_000
PLACES = {"path", *(name for source in SOURCES for name in source.options.places)}
MAX_CONFIG_BYTES = 1_000_000
Model = TypeVar("Model", bound=BaseModel)


class BuildConfig(BaseModel):
    """Everything that decides what a build makes, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    output: Annotated[str, Field(min_length=1)]
    work: str | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    """Tasks at once; 0: in this process, without Ray."""
    sources: Annotated[list[SourceOptions], Field(min_length=1)]
    licenses: LicensePolicy = LicensePolicy()
    filters: FilterOptions = FilterOptions()
    limits: RowLimits = RowLimits()
    redact: tuple[RedactKind, ...] = ("email", "ip", "key")
    query_cap: QueryCapOptions = QueryCapOptions()
    dedupe: DedupeOptions = DedupeOptions()
    decontaminate: tuple[DecontaminateSet, ...] = ()
    opt_out: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...],
        Field(max_length=MAX_OPT_OUTS),
    ] = ()
    """Datasets, text files, owners or owner/repo; see `xtrove.config.opt_out`."""
    shards: ShardOptions = ShardOptions()
    hub: HubOptions = HubOptions()
    slice_bytes: Annotated[int, Field(ge=1_000_000, le=256_000_000)] | None = None

    @field_validator("output", "work")
    @classmethod
    def _local(cls, value: str | None) -> str | None:
        if value is not None and "://" in value:
            raise ValueError(
                f"{value!r} is a URI; this version writes to a local or shared folder: "
                "give a path that every node can write"
            )
        return value

    @property
    def extract(self) -> ExtractOptions:
        """The options of `extract`."""
        return ExtractOptions(filters=self.filters, limits=self.limits, redact=self.redact)

    @property
    def keeps_partition(self) -> bool:
        """Whether the split of the sources is kept (`partition: keep`)."""
        return any(source.keeps_split for source in self.sources)

    @model_validator(mode="after")
    def _one_split_rule(self) -> Self:
        if self.keeps_partition and not all(source.keeps_split for source in self.sources):
            raise ValueError(
                "sources: one keeps its own split (partition: keep) and another has none: "
                "use partition: holdout, or build them apart"
            )
        return self

    @model_validator(mode="after")
    def _flags_of_the_source(self) -> Self:
        kept = [key for key in ("generated", "vendored") if getattr(self.filters, key) == "keep"]
        kinds = {source.kind for source in self.sources if source_of(source).flags_rows}
        if kept and kinds:
            raise ValueError(
                f"filters.{kept[0]}: keep has no effect on {', '.join(sorted(kinds))}, whose rows "
                "are flagged by the data set and left out: write drop, or build that source apart"
            )
        return self

    def source_names(self) -> list[str]:
        """A name for every source, unique in this build: its own, or its kind with a number."""
        names: list[str] = []
        for source in self.sources:
            name = base = source.name or source.kind
            number = 1
            while name in names:
                if source.name:
                    raise Misuse(
                        f"sources: the name {name!r} stands twice",
                        remedy="give every source a name of its own",
                    )
                number += 1
                name = f"{base}-{number}"
            names.append(name)
        return names

    def dump(self) -> dict[str, Any]:
        """The whole config as JSON types, defaults included."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """SHA-256 of what decides the data; local paths (sources, opt-outs) are not part of it:
        what they hold is digested as an input."""
        data = {key: value for key, value in self.dump().items() if key not in NOT_IN_DIGEST}
        del data["opt_out"]
        data["sources"] = [without_places(source) for source in data["sources"]]
        data["decontaminate"] = [without_places(item) for item in data["decontaminate"]]
        return digest(data)


def without_places(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a source or an evaluation set without where things lie here.

    Of `blobs` only the url says what is read; endpoint, cache and speed do not.
    """
    kept = {key: value for key, value in options.items() if key not in PLACES}
    if isinstance(kept.get("blobs"), Mapping):
        kept["blobs"] = {"url": kept["blobs"].get("url")}
    return kept


_MERGE = "tag:yaml.org,2002:merge"


class _UniqueKeys(yaml.SafeLoader):
    """YAML without duplicate keys."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == _MERGE or not _within(key_node, node):
            # Keys that `<<` brings along give way to the mapping's own.
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            continue
        if key in seen:
            line = key_node.start_mark.line + 1
            raise Misuse(f"the key {key!r} stands twice (line {line})", remedy="keep one of them")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _within(inner: yaml.Node, outer: yaml.Node) -> bool:
    start, stop = outer.start_mark, outer.end_mark
    return bool(start.index <= inner.start_mark.index < stop.index)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_yaml(text: str, *, name: str) -> dict[str, Any]:
    """A YAML mapping; raises `Misuse` naming the file and the line."""
    try:
        data = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise Misuse(f"{name} is not YAML: {error}", remedy="mend the line it names") from None
    except Misuse as error:
        raise Misuse(f"{name}: {error.message}", remedy=error.remedy) from None
    if not isinstance(data, dict):
        raise Misuse(
            f"{name} holds {type(data).__name__}, not keys and values",
            remedy="start from `xtrove build --print-config`",
        )
    return data


def document(path: Path, settings: Iterable[str] = ()) -> dict[str, Any]:
    """The keys and values of a YAML file, changed by `--set key.path=value` in order."""
    data = parse_yaml(_read(path), name=str(path))
    for setting in settings:
        apply_setting(data, setting)
    return data


def load(path: Path | None, settings: Iterable[str] = ()) -> BuildConfig:
    """Defaults, then the file, then `--set key.path=value` in order."""
    if path is None:
        text = (files("xtrove") / "default.yaml").read_text(encoding="utf-8")
        data = parse_yaml(text, name="the embedded default")
        for setting in settings:
            apply_setting(data, setting)
    else:
        data = document(path, settings)
    if isinstance(data.get("name"), str):
        data.setdefault("output", f"data/{data['name']}")
    return validate(data, name=str(path) if path else "the embedded default")


def _read(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > MAX_CONFIG_BYTES:
            raise Misuse(f"{path} has more than {MAX_CONFIG_BYTES:,} bytes: not a config")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(
            f"cannot read the config {str(path)!r}: {error}",
            remedy="give the path of a YAML file, such as those in config/",
        ) from None


def apply_setting(data: dict[str, Any], setting: str) -> None:
    """Change `data` in place by one `key.path=value`; numbers in the path index lists."""
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise Misuse(f"--set {setting!r} is not key.path=value", remedy="e.g. dedupe.threshold=0.8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Misuse(f"--set {path}: {text!r} is not a YAML value") from None
    node: Any = data
    for key in keys[:-1]:
        node = _step(node, key, setting)
    if isinstance(node, list):
        node[_index(node, keys[-1], setting)] = value
    else:
        node[keys[-1]] = value


def _step(node: Any, key: str, setting: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, key, setting)]
    inner = node.setdefault(key, {})
    if not isinstance(inner, dict | list):
        raise Misuse(f"--set {setting!r}: {key!r} holds {inner!r}, which has no keys")
    return inner


def _index(node: list[Any], key: str, setting: str) -> int:
    if not key.isdigit() or int(key) >= len(node):
        raise Misuse(
            f"--set {setting!r}: {key!r} is no position in a list of {len(node)}",
            remedy=f"use 0 to {len(node) - 1}",
        )
    return int(key)


def validate(data: Mapping[str, Any], *, name: str) -> BuildConfig:
    """The typed config; every fault of the file is named at once, with a suggestion."""
    config = checked(BuildConfig, data, name=name, command="xtrove build")
    config.source_names()
    return config


def checked(model: type[Model], data: Mapping[str, Any], *, name: str, command: str) -> Model:
    """Any config of ours, typed; raises `Misuse` with every fault and the key probably meant."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = faults_of(error, model)
        raise Misuse(
            f"{name} is refused:\n" + "\n".join(f"  {fault}" for fault in faults),
            remedy=f"`{command} --print-config` shows every key with its default",
        ) from None


def as_yaml(config: BuildConfig) -> str:
    """The config as YAML that can be fed back in."""
    return yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True, width=100)
