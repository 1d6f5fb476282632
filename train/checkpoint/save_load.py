"""A trained encoder on disk, in the layout PyLate and sentence-transformers read.

Method: the folder is written under a temporary name beside its own, every file is fsynced, then it
is renamed. Inside: the transformer and tokenizer as transformers writes them (the markers are
vocabulary), `1_Dense` with the projection, the settings of PyLate, a model card, and what it was
trained on. `load_model` reads the same back, and plain Hugging Face encoders as an untrained
baseline whose token vectors are the hidden states.

Cost: one write of the weights (4 bytes each). Limits: safetensors only; a folder that stands is
replaced only when `replace` says so, and then is never absent for longer than two renames.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from train.checkpoint.model_card import CardFacts, model_card
from train.checkpoint.training_digests import FILE_NAME as TRAINED_ON
from train.errors import ModelError
from train.model import (
    Encoder,
    EncoderOptions,
    ModelFolder,
    check_lengths,
    drawn_from,
    fetch_model,
    linear_of,
    load_transformer,
    plain_base,
    quiet,
)
from xtrove.core import Misuse, new_folder, write_json

DENSE = "1_Dense"
TRAINING = "xtrove_training.json"
MAX_LENGTH = 1 << 20


def save_model(
    encoder: Encoder,
    folder: Path,
    *,
    card: CardFacts,
    trained_on: Path | None = None,
    replace: bool = False,
) -> None:
    """Writes `folder` whole. `trained_on` is a file of `write_trained_on`, copied into it.

    Raises `Misuse` where the folder exists and `replace` is False.
    """
    if folder.exists() and not replace:
        raise Misuse(f"{folder} exists already", remedy="give another name, or replace=True")
    with new_folder(folder, existing="replace" if replace else "refuse") as temporary:
        _write(encoder, temporary, card, trained_on)
        for path in temporary.rglob("*.safetensors"):
            # safetensors makes its files private.
            path.chmod(0o644)


def load_model(path: str | Path, device: str | torch.device = "cpu") -> Encoder:
    """The encoder of a folder (or Hub name) in the PyLate layout, in evaluation mode.

    A plain Hugging Face encoder gives hidden states, with no markers: the untrained baseline.
    """
    folder = ModelFolder.open(fetch_model(str(path)))
    with drawn_from(0):
        model, tokenizer = load_transformer(folder.path, device)
    weight = folder.projection()
    hidden: int = model.config.hidden_size
    options = _options(folder.settings, hidden if weight is None else weight.shape[0], model.config)
    check_lengths(model.config, options, str(path))
    linear = linear_of(torch.eye(hidden) if weight is None else weight, hidden, options.dim)
    encoder = Encoder(base=model, projection=linear, tokenizer=tokenizer, options=options)
    return encoder.to(device).eval()


def _options(settings: dict[str, Any], dim: int, config: Any) -> EncoderOptions:
    if "query_prefix" not in settings and "document_prefix" not in settings:
        positions = int(getattr(config, "max_position_embeddings", None) or 512)
        longest = min(512, positions - 2)
        return EncoderOptions(
            dim=dim,
            query_length=min(256, longest),
            document_length=longest,
            query_prefix="",
            document_prefix="",
        )
    # PyLate's own defaults are expansion and a list of punctuation.
    if settings.get("do_query_expansion", True) or settings.get("skiplist_words", True):
        raise ModelError(
            "the model expands its queries or leaves words out (do_query_expansion, "
            "skiplist_words), which is not offered",
            remedy="measure it with PyLate, or train from it",
        )
    return EncoderOptions(
        dim=dim,
        query_length=_length(settings, "query_length", 32),
        document_length=_length(settings, "document_length", 180),
        query_prefix=str(settings.get("query_prefix") or ""),
        document_prefix=str(settings.get("document_prefix") or ""),
        max_text_bytes=_length(settings, "max_text_bytes", EncoderOptions().max_text_bytes),
        document_template=settings.get("document_template", EncoderOptions().document_template),
    )


def _length(settings: dict[str, Any], name: str, default: int) -> int:
    value = settings.get(name, default)
    if not isinstance(value, int) or not 0 < value <= MAX_LENGTH:
        raise ModelError(f"config_sentence_transformers.json: {name} is {value!r}")
    return value


def _write(encoder: Encoder, folder: Path, card: CardFacts, trained_on: Path | None) -> None:
    from safetensors.torch import save_file

    options = encoder.options
    with quiet():
        # In one file: PyLate's and ColGREP's loaders look for model.safetensors.
        plain_base(encoder).save_pretrained(folder, max_shard_size="100GB")
    # The last call's cut is no part of the tokenizer.
    encoder.tokenizer.backend_tokenizer.no_truncation()
    encoder.tokenizer.backend_tokenizer.no_padding()
    encoder.tokenizer.save_pretrained(folder)
    weight = encoder.projection.weight.detach().to("cpu", torch.float32).contiguous()
    (folder / DENSE).mkdir()
    save_file({"linear.weight": weight}, folder / DENSE / "model.safetensors")
    dense = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
        "use_residual": False,
    }
    _write_json(folder / DENSE / "config.json", dense)
    _write_json(folder / "modules.json", MODULES)
    lengths = {"max_seq_length": options.document_length - 1, "do_lower_case": False}
    _write_json(folder / "sentence_bert_config.json", lengths)
    _write_json(folder / "config_sentence_transformers.json", _settings(options))
    _write_json(folder / TRAINING, card.as_dict())
    if trained_on is not None:
        shutil.copyfile(trained_on, folder / TRAINED_ON)
    (folder / "README.md").write_text(model_card(card, options), encoding="utf-8")


MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": DENSE, "type": "pylate.models.Dense.Dense"},
]


def _write_json(path: Path, value: object) -> None:
    # Durable with the folder.
    write_json(path, value, durable=False)


def _settings(options: EncoderOptions) -> dict[str, Any]:
    return {
        "model_type": "ColBERT",
        "__version__": {},
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": options.query_prefix,
        "document_prefix": options.document_prefix,
        "query_length": options.query_length,
        "document_length": options.document_length,
        "attend_to_expansion_tokens": False,
        "do_query_expansion": False,
        "skiplist_words": [],
        "max_text_bytes": options.max_text_bytes,
        "document_template": options.document_template,
    }
