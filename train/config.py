"""The config of a training run: typed sections with defaults, read without torch.

Every key that decides the weights is part of `digest`; where a run is written, on what device and
how fast it goes is not, so that a run may go on elsewhere. The defaults are those of one GPU and
2-3 million pairs; `config/train_*.yaml` hold the ones for other machines.
Sources: the XTR paper (arXiv 2304.01982) for the objective; the temperature of 0.05 is that of
PyLate's documentation and of the replicability study (arXiv 2605.00646).
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ingest.transport import names_user, without_user
from train.document_template import DocumentTemplate
from train.objectives import AnyObjective, Xtr
from xtrove.core import parse_bytes

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

NOT_IN_DIGEST: Final = {
    *("output", "device", "precision", "compile", "threads", "loader", "validation"),
    *("checkpoints", "logging"),
}
"""Sections that a run may change between a stop and `--resume`."""
SPEED_ONLY: Final = {"batch": ("mini_batch_tokens", "lengths")}
"""Keys of other sections that change how a step is computed and not what it computes."""


def _template(text: str) -> str:
    return DocumentTemplate(text).text


class Section(BaseModel):
    """Unknown keys are refused; sections do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class CacheSection(Section):
    """Where remote shards are kept while training."""

    folder: str | None = None
    """None: the user's cache folder."""
    max_bytes: Annotated[int, BeforeValidator(parse_bytes), Field(ge=1_000_000)] = 20_000_000_000


def _without_password(path: str) -> str:
    if names_user(path):
        raise ValueError(
            f"{without_user(path)!r} was given with a user or a password, which the files of a run "
            "would keep: take it out"
        )
    return path


class DataSection(Section):
    """Which samples."""

    path: Annotated[str, Field(min_length=1), AfterValidator(_without_password)]
    """A dataset of `xtrove build`: a folder, hf://datasets/OWNER/NAME[@REVISION], s3://, https://."""
    languages: tuple[str, ...] | None = None
    min_quality: Annotated[int, Field(ge=0, le=1000)] = 0
    license_classes: tuple[str, ...] | None = None
    cache: CacheSection = CacheSection()
    path_dropout: Share = 0.0
    """Share of the documents whose path is left out of the template, drawn anew each epoch."""


class ScratchSection(Section):
    """What `base: scratch` builds."""

    size: Literal["tiny", "small", "17m", "150m"] = "17m"
    vocabulary: Annotated[int, Field(ge=512, le=200_000)] = 32_768
    texts: Positive = 50_000
    """Samples of the dataset that the tokenizer is trained on."""


class EncoderSection(Section):
    """The encoder around the base."""

    dim: Annotated[int, Field(ge=8, le=1024)] = 128
    query_length: Annotated[int, Field(ge=8, le=8192)] = 64
    document_length: Annotated[int, Field(ge=8, le=8192)] = 512
    query_prefix: str = "[Q] "
    document_prefix: str = "[D] "
    max_text_bytes: Annotated[int, BeforeValidator(parse_bytes), Field(ge=64, le=1 << 24)] = 16_384
    """Longer sources are cut there before tokenising."""
    document_template: Annotated[str, AfterValidator(_template)] = "{code}"
    """Of {code}, {path}, {scope} and {name}; see `train.DocumentTemplate`."""
    projection: Literal["principal", "random"] = "principal"
    """How the projection of a base without one begins; see `train.model.pretrained`."""
    dropout: bool = True
    """What the base has, while it trains (BERT 0.1, ModernBERT none); false is a third quicker."""


class LoraSection(Section):
    """Low-rank adapters instead of all weights; merged when the model is saved."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class BatchSection(Section):
    """What is compared with what, and how it is cut for the device."""

    size: Annotated[int, Field(ge=2, le=1 << 20)] = 1024
    """Pairs a step, over all processes."""
    pool_tokens: Positive | None = None
    """At most so many lexical tokens of code a step; None: no limit beside `size`."""
    window: Annotated[int, Field(ge=16, le=1 << 24)] = 65_536
    """Samples that are shuffled together."""
    one_language: bool = True
    unique: bool = True
    """No repeated query group or code in a batch."""
    mini_batch_tokens: Annotated[int, Field(ge=16)] = 32_768
    """Tokens, padding included, that go through the encoder at once."""
    lengths: Literal["auto", "fine", "few"] = "auto"
    """Padded lengths: multiples of 8, or two an octave where new shapes are dear (MPS, compile)."""


class NegativesSection(Section):
    """Hard negatives of `xtrove mine`."""

    path: Annotated[str, Field(min_length=1)]
    per_query: Annotated[int, Field(ge=1, le=64)] = 7


class OptimizerSection(Section):
    """AdamW, a linear warm-up, a cosine down to `final`."""

    lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The rate of a layer is this times that of the one above, of embeddings that of the first."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] = 1e-8
    warmup: Share = 0.05
    """Share of the steps."""
    final: Share = 0.1
    """Share of `lr` at the last step."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of all gradients together."""


class LoaderSection(Section):
    """Processes that read and tokenise."""

    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    """None: two, or what the machine has beside the trainer; 0: in the trainer itself."""
    prefetch: Annotated[int, Field(ge=1, le=64)] = 2
    """Batches ready a worker."""


class ValidationSetSection(Section):
    """Questions of another kind than docstrings, as `xtrove evaluate` reads them."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
    """In the log, the card and the report: `NAME MRR`."""
    kind: Literal["pools", "cosqa", "beir"]
    path: Annotated[str, Field(min_length=1), AfterValidator(_without_password)]
    """A folder, as after `--pools`, `--cosqa` and `--beir`."""
    split: str | None = None
    """Of a CoSQA or BEIR folder; None: its only questions, or `test`."""
    language: str = ""
    """Of the documents of a BEIR folder."""
    queries: Annotated[int, Field(ge=1, le=100_000)] = 200
    documents: Annotated[int, Field(ge=2, le=1_000_000)] = 2_000
    """Of all pools together."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.split is not None and self.kind == "pools":
            raise ValueError("split: a folder of pools has none; leave it out")
        if self.language and self.kind != "beir":
            raise ValueError(f"language: rows of kind {self.kind} say theirs; leave it out")
        return self


class ValidationSection(Section):
    """The measure on the validation split, and on questions of other kinds."""

    every: Positive | None = 500
    """Steps between two; None: never."""
    queries: Positive = 500
    pool: Positive = 2_000
    metric: Literal["P@1", "MRR"] = "MRR"
    """What makes a checkpoint the best: with `sets` its mean over the validation split and them."""
    sets: Annotated[tuple[ValidationSetSection, ...], Field(max_length=8)] = ()

    @property
    def best_by(self) -> str:
        """The measure that makes a checkpoint the best."""
        return f"mean {self.metric}" if self.sets else self.metric

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [section.name for section in self.sets]
        if len(set(names)) != len(names) or "mean" in names:
            raise ValueError(f"sets: give each a name of its own, not `mean`: {', '.join(names)}")
        return self


class CheckpointSection(Section):
    """What is kept of a run."""

    every: Positive = 500
    keep: Annotated[int, Field(ge=1, le=1000)] = 2
    """Last checkpoints that stay; the best model stays beside them."""


class LoggingSection(Section):
    """How often the logs speak."""

    every: Positive = 10
    """Steps between two lines of TensorBoard; the JSON lines have every step."""
    tensorboard: bool = True


class TrainConfig(Section):
    """Everything that decides what a run trains, where and how."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    output: Annotated[str, Field(min_length=1)]
    data: DataSection
    base: Annotated[str, Field(min_length=1)]
    """A Hugging Face encoder (name or folder), or `scratch`."""
    scratch: ScratchSection = ScratchSection()
    encoder: EncoderSection = EncoderSection()
    lora: LoraSection | None = None
    objective: AnyObjective = Xtr()
    batch: BatchSection = BatchSection()
    negatives: NegativesSection | None = None
    optimizer: OptimizerSection = OptimizerSection()
    epochs: Positive = 1
    steps: Positive | None = None
    """Steps in all; None: `epochs` times the batches of an epoch."""
    seed: Annotated[int, Field(ge=0, le=(1 << 63) - 1)] = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    threads: Positive | None = None
    loader: LoaderSection = LoaderSection()
    validation: ValidationSection = ValidationSection()
    checkpoints: CheckpointSection = CheckpointSection()
    logging: LoggingSection = LoggingSection()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.objective.needs_teacher and self.negatives is None:
            raise ValueError(
                f"objective.kind: {self.objective.kind} learns from the scores of mined "
                "negatives: name their folder under negatives.path (`xtrove mine` writes it)"
            )
        longest = max(self.encoder.query_length, self.encoder.document_length)
        if self.batch.mini_batch_tokens < longest:
            raise ValueError(
                f"batch.mini_batch_tokens is {self.batch.mini_batch_tokens}, less than one text of "
                f"{longest} tokens: raise it, or lower encoder.document_length"
            )
        return self

    def dump(self) -> dict[str, Any]:
        """The whole config as JSON types, defaults included."""
        return self.model_dump(mode="json")

    def decisive(self) -> dict[str, Any]:
        """What decides the weights, as JSON types: the config of a run that is gone on with."""
        data = {key: value for key, value in self.dump().items() if key not in NOT_IN_DIGEST}
        for section, keys in SPEED_ONLY.items():
            data[section] = {k: v for k, v in data[section].items() if k not in keys}
        # The digest of the dataset is compared beside this: where it lies decides nothing.
        location_keys = ("path", "cache")
        data["data"] = {
            key: value for key, value in data["data"].items() if key not in location_keys
        }
        return data

    def reading(self, path: str) -> Self:
        """The same with the dataset read from there."""
        return self.model_copy(update={"data": self.data.model_copy(update={"path": path})})

    def digest(self) -> str:
        """SHA-256 (hex) of `decisive`."""
        text = json.dumps(self.decisive(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def differences(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    """`key: old -> new` for every leaf that differs, sorted."""
    lines: list[str] = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += differences(old, new, f"{prefix}{key}.")
        elif old != new:
            lines.append(f"{prefix}{key}: {old!r} -> {new!r}")
    return lines
