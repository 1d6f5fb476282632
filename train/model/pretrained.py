"""Where an encoder starts: a Hugging Face encoder with a projection, from a name or a folder.

Method: the folder is checked before anything is loaded (`train.model.files`): safetensors only,
sizes capped, no remote code. A folder in the PyLate layout (or any `modules.json` with linear
layers over the tokens, as google/xtr-base-en) brings its projection; otherwise a new one is drawn
from the seed. The markers become entries of the vocabulary here, so that they are trained and
saved. A tokenizer that puts nothing in front of a text, as T5's, is given a token there: PyLate
and ColGREP insert the marker behind the first token whatever that is.

Cost: one read of the weights. Limits: encoders that transformers itself knows (a masked-language
model of its own, or a T5 encoder).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import torch
from torch import nn
from torch.nn import functional

from train.errors import ModelError, model_faults
from train.model.encoder import Encoder, Kind
from train.model.files import ModelFolder, fetch_model
from train.model.lora import LoraOptions, with_lora
from train.model.tokenizer import EncoderOptions, add_markers, with_leading_token

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

T5_ENCODERS = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
Attention = Literal["flash_attention_2", "sdpa", "eager"]
EAGER_ONLY = frozenset({"deberta", "deberta-v2", "funnel", "fnet", "convbert", "mpnet"})
"""No SDPA path in transformers: a bias is added to the scores, or the maths differ."""
PROJECTION_TEXTS: Final = 512
"""Queries, and as many documents, that `principal_projection` is computed from."""


def load_base(
    base: str,
    options: EncoderOptions,
    *,
    seed: int,
    device: str | torch.device = "cpu",
    lora: LoraOptions | None = None,
    fp32: bool = False,
) -> Encoder:
    """An encoder to be trained, from a folder or from `OWNER/NAME[@REVISION]` of the Hub.

    `fp32` keeps every product in that precision: no attention that needs a shorter one.
    Raises `ModelError` for what cannot be loaded safely or does not fit the options.
    """
    folder = ModelFolder.open(fetch_model(base))
    projection = folder.projection()
    if projection is not None and projection.shape[0] != options.dim:
        raise ModelError(
            f"{base}: its projection has {projection.shape[0]} dimensions, dim says {options.dim}",
            remedy=f"set dim: {projection.shape[0]}",
        )
    with drawn_from(seed):
        model, tokenizer = load_transformer(folder.path, device, fp32=fp32)
        check_lengths(model.config, options, base)
        if options.query_prefix or options.document_prefix:
            tokenizer = with_leading_token(tokenizer)
        add_entries(model, tokenizer, options, seed)
        linear = linear_of(projection, model.config.hidden_size, options.dim, seed)
        encoder = Encoder(base=model, projection=linear, tokenizer=tokenizer, options=options)
        if lora is not None:
            with_lora(encoder, lora)
    return encoder.to(device)


def has_projection(base: str) -> bool:
    """Whether a model brings a projection of its own."""
    return ModelFolder.open(fetch_model(base)).projection() is not None


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """For what draws from torch's global generator: it starts at the seed and is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def load_transformer(
    folder: Path, device: str | torch.device, *, fp32: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The transformer (float32, on the CPU, attention chosen for `device`) and its tokenizer."""
    import transformers

    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with model_faults(folder):
        config = transformers.AutoConfig.from_pretrained(folder, **safe)
    loader = _class_for(config)
    with quiet(), model_faults(folder):
        model, report = loader.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation=attention_for(device, config.model_type, fp32=fp32),
            output_loading_info=True,
            **safe,
        )
    missing = sorted(n for n in report["missing_keys"] if not n.startswith("pooler."))
    if missing or report["mismatched_keys"]:
        raise ModelError(
            f"{folder}: the weights are not those of its config.json: {len(missing)} missing "
            f"({missing[:3]}), of another shape {sorted(report['mismatched_keys'])[:3]}"
        )
    pooler = getattr(model, "pooler", None)
    if pooler is not None:
        # Kept so that the saved folder is whole; it has no part in token vectors.
        pooler.requires_grad_(False)
    return model, _tokenizer(folder, safe)


def attention_for(
    device: str | torch.device, model_type: str = "modernbert", *, fp32: bool = False
) -> Attention:
    """The attention for a device ("cpu", "cuda:0", "mps") and a kind of transformer.

    FlashAttention 2 for ModernBERT on CUDA where its package works. It computes in half precision
    only, so that `fp32` takes torch's own.
    """
    if model_type in EAGER_ONLY:
        return "eager"
    is_fit = torch.device(device).type == "cuda" and model_type == "modernbert" and not fp32
    return "flash_attention_2" if is_fit and flash_attention_works() else "sdpa"


def flash_attention_works() -> bool:
    """Whether FlashAttention 2 can be used: transformers knows the version, and it imports.

    A wheel for another torch or CUDA is found and fails as it loads; version 4 has another name.
    """
    from transformers import utils

    try:
        if not utils.is_flash_attn_2_available():  # type: ignore[attr-defined]
            return False
        importlib.import_module("flash_attn.flash_attn_interface")
    except Exception:
        # A broken extension may raise anything while it loads.
        return False
    return True


def _tokenizer(folder: Path, safe: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    import transformers

    with model_faults(folder):
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **safe)
    if not tokenizer.is_fast:
        raise ModelError(
            f"{folder}: no tokenizer.json", remedy="save its tokenizer with a fast one first"
        )
    if tokenizer.pad_token_id is None:
        # Padding is masked, any token will do.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise ModelError(f"{folder}: the tokenizer has no padding token")
    return cast("PreTrainedTokenizerFast", tokenizer)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars of transformers: ours is the only one."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _class_for(config: PretrainedConfig) -> Any:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    kind = config.model_type
    if kind in T5_ENCODERS:
        return getattr(transformers, T5_ENCODERS[kind])
    if config.is_encoder_decoder or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise ModelError(
            f"model_type {kind!r} is no encoder",
            remedy="take a ModernBERT, BERT, RoBERTa or T5 model",
        )
    return transformers.AutoModel


def add_entries(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    options: EncoderOptions,
    seed: int,
) -> None:
    """Adds the markers to vocabulary and embeddings, which only ever grow.

    A marker's row is the mean of the others plus noise of a tenth of their spread: near what the
    transformer knows, and no two markers alike.
    """
    new = add_markers(tokenizer, options)
    known = _embeddings(model).shape[0]
    if len(tokenizer) > known:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    weight = _embeddings(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        rows = weight[:known]
        mean, spread = rows.mean(dim=0), rows.std(dim=0)
        for i in new:
            noise = torch.randn(weight.shape[1], generator=generator)
            weight[i] = mean + 0.1 * spread * noise


def _embeddings(model: PreTrainedModel) -> torch.Tensor:
    return cast(nn.Embedding, model.get_input_embeddings()).weight


def linear_of(weight: torch.Tensor | None, hidden: int, dim: int, seed: int = 0) -> nn.Linear:
    """The projection with the given weight [dim, hidden]; without one, drawn like nn.Linear's."""
    if weight is not None and tuple(weight.shape) != (dim, hidden):
        raise ModelError(f"the projection is {list(weight.shape)}, not {[dim, hidden]}")
    if weight is None:
        generator = torch.Generator().manual_seed(seed)
        bound = hidden**-0.5
        weight = (torch.rand((dim, hidden), generator=generator) * 2 - 1) * bound
    linear = nn.Linear(hidden, dim, bias=False, device="meta")
    linear.weight = nn.Parameter(weight.to(torch.float32).contiguous())
    return linear


def check_lengths(config: PretrainedConfig, options: EncoderOptions, base: str) -> None:
    """Raises `ModelError` where a length exceeds the positions the transformer has."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or config.model_type in T5_ENCODERS:
        return
    if config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}:
        # Their positions start behind the padding index.
        positions -= (config.pad_token_id or 0) + 1
    for name in ("query_length", "document_length"):
        if getattr(options, name) > positions:
            raise ModelError(
                f"{base}: {name} is {getattr(options, name)}, it has {positions} positions",
                remedy=f"set {name}: {positions} or less",
            )


def principal_projection(
    encoder: Encoder, queries: Sequence[str], documents: Sequence[str]
) -> torch.Tensor:
    """Weights [dim, hidden] with orthonormal rows: the base's similarities are kept best.

    The top `dim` eigenvectors of the mean of h h', h the base's token vectors at length 1 over
    texts of the dataset (uncentred principal components). Of all projections to `dim` dimensions
    this one keeps most of the vectors' squared length (Eckart and Young, 1936): training starts
    from what the encoder knows, where a drawn projection starts from noise.
    Cost: one encoding of the texts, 10 s for 1,024 of them with a 22M encoder on two cores. Memory:
    hidden x hidden in float64. `ModelError` where there are too few tokens.
    """
    hidden, tokens = encoder.projection.in_features, 0
    moments = torch.zeros(hidden, hidden, dtype=torch.float64)
    sides: tuple[tuple[Kind, Sequence[str]], ...] = (("query", queries), ("document", documents))
    with encoder.inference():
        for kind, texts in sides:
            for _, ids, mask in encoder.mini_batches(encoder.tokenize(texts, kind), kind):
                states = encoder.base(input_ids=ids, attention_mask=mask).last_hidden_state
                rows = functional.normalize(states[mask.bool()].float(), dim=-1)
                moments += (rows.T @ rows).double().cpu()
                tokens += len(rows)
    dim = encoder.projection.out_features
    if tokens < dim:
        raise ModelError(f"{tokens} tokens in the data, too few for {dim} dimensions")
    _, vectors = torch.linalg.eigh(moments / tokens)
    top = vectors[:, -dim:].flip(1).T
    # An eigenvector and its negative are one: the sign is that of its largest component.
    largest = top.gather(1, top.abs().argmax(dim=1, keepdim=True))
    weight: torch.Tensor = (top * largest.sign()).float().contiguous()
    return weight
