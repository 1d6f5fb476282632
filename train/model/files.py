"""A folder with a model, looked at before anything in it is loaded.

Method: only a fixed set of files is ever read; sizes are capped before reading; weights are
safetensors, a folder with pickled weights alone is refused; the paths of `modules.json` stay in the
folder. Linear layers over the tokens (PyLate's Dense, sentence-transformers' Dense without
activation) are folded into one matrix: W2 @ W1, with a residual (W2 + R) @ W1. A linear layer that
exists as a PyTorch archive only (google/xtr-base-en) is read without unpickling (`torch_archive`).

Cost: the JSON files and the linear layers (under 1 MB). A name of the Hub is fetched into the
Hub's cache, those files only. Limits: layers with an activation or a bias cannot be folded and
are refused by name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.document_template import CODE, DocumentTemplate
from train.errors import ModelError, model_faults

if TYPE_CHECKING:
    # Looking at a folder and reading its JSON is quick: a question is asked without torch.
    import torch

MAX_CONFIG_BYTES = 4 << 20
MAX_TOKENIZER_BYTES = 128 << 20
MAX_DENSE_BYTES = 64 << 20
MAX_MODULES = 16
LIMITS = {
    "hidden_size": 16_384,
    "d_model": 16_384,
    "intermediate_size": 131_072,
    "d_ff": 131_072,
    "num_hidden_layers": 512,
    "num_layers": 512,
    "num_attention_heads": 1024,
    "vocab_size": 4 << 20,
    "max_position_embeddings": 4 << 20,
}
TOKENIZER_FILES = frozenset({"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"})
# What is fetched from the Hub: never code, never pickles.
PATTERNS = ["*.json", "*.safetensors", "vocab.txt", "merges.txt", "*_Dense/pytorch_model.bin"]
WEIGHTS = "model.safetensors"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.ckpt")
REMEDY = "save it again with model.save_pretrained(folder), which writes safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFolder:
    """A folder that has been looked at."""

    path: Path
    modules: tuple[tuple[str, str], ...]
    """Type and folder of each module of `modules.json`; empty without one."""
    settings: dict[str, Any]
    """`config_sentence_transformers.json`; empty without one."""

    @classmethod
    def open(cls, path: Path) -> ModelFolder:
        """Checks sizes, weights and paths. Raises `ModelError`."""
        if not (path / "config.json").is_file():
            raise ModelError(f"{path}: no config.json, this is no folder of a model")
        _check_sizes(path)
        _check_weights(path)
        _check_numbers(path, read_json(path / "config.json", {}))
        return cls(
            path=path,
            modules=_modules(path),
            settings=read_json(path / "config_sentence_transformers.json", {}),
        )

    def projection(self) -> torch.Tensor | None:
        """The linear layers over the tokens as one float32 matrix [dim, hidden]; None: none."""
        folded: torch.Tensor | None = None
        for kind, folder in self.modules:
            if kind.rsplit(".", 1)[-1] == "Dense":
                weight = _dense(inside(self.path, folder))
                folded = weight if folded is None else weight @ folded
        return folded


def fetch_model(base: str) -> Path:
    """The local folder of `base`: itself, or a snapshot of `OWNER/NAME[@REVISION]` of the Hub."""
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    name, _, revision = base.partition("@")
    if name.count("/") != 1 or base.startswith((".", "/", "~")):
        raise ModelError(f"{base}: neither a folder nor a name of the Hub (OWNER/NAME)")
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot = huggingface_hub.snapshot_download(
            name, revision=revision or None, allow_patterns=PATTERNS
        )
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{base}: not in the Hub's cache and cannot be fetched ({type(error).__name__})",
            remedy="give a local folder, or `base: scratch` to start without a model",
        ) from error
    return Path(snapshot)


def read_json(path: Path, default: Any = None) -> Any:
    """A small JSON file; `default` where it is absent and a default is given."""
    if default is not None and not path.is_file():
        return default
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise ModelError(f"{path}: {size:,} bytes, more than {MAX_CONFIG_BYTES:,} are not read")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: no JSON ({type(error).__name__})") from error
    if default is not None and not isinstance(value, type(default)):
        raise ModelError(f"{path}: not a JSON {type(default).__name__}")
    return value


def recorded_template(folder: Path) -> DocumentTemplate:
    """The document template of a model's folder; the code alone where it records none."""
    settings = read_json(folder / "config_sentence_transformers.json", {})
    return DocumentTemplate(settings.get("document_template", CODE))


def inside(root: Path, relative: str) -> Path:
    """`root / relative`, refused where that leads out of `root`."""
    path = root / relative
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise ModelError(f"{root}/modules.json: the path {relative!r} leads out of the folder")
    return path


def _modules(path: Path) -> tuple[tuple[str, str], ...]:
    rows = read_json(path / "modules.json", [])
    if len(rows) > MAX_MODULES:
        raise ModelError(f"{path}/modules.json: {len(rows)} modules, {MAX_MODULES} at most")
    modules = []
    for row in rows:
        if not isinstance(row, dict):
            raise ModelError(f"{path}/modules.json: {row!r} is no module")
        kind, folder = str(row.get("type", "")), str(row.get("path", ""))
        inside(path, folder)
        modules.append((kind, folder))
    if modules and modules[0][1] not in ("", "."):
        raise ModelError(
            f"{path}/modules.json: the transformer stands in {modules[0][1]!r}, not ''"
        )
    return tuple(modules)


def _dense(folder: Path) -> torch.Tensor:
    config = read_json(folder / "config.json", {})
    activation = str(config.get("activation_function", "torch.nn.modules.linear.Identity"))
    if not activation.endswith(".Identity") or config.get("bias", False):
        raise ModelError(
            f"{folder}: activation {activation}, bias {config.get('bias')}: only linear layers "
            "without bias can be a projection"
        )
    weights, archive = folder / WEIGHTS, folder / "pytorch_model.bin"
    if not weights.is_file():
        if archive.is_file() and not config.get("use_residual", False):
            from train.model.torch_archive import matrix_of

            return matrix_of(archive, "linear.weight")
        raise ModelError(f"{folder}: no {WEIGHTS}", remedy=REMEDY)
    if weights.stat().st_size > MAX_DENSE_BYTES:
        raise ModelError(f"{weights}: {weights.stat().st_size:,} bytes for a linear layer")
    import torch
    from safetensors.torch import load_file

    with model_faults(weights):
        tensors = load_file(weights)
    weight = tensors.get("linear.weight")
    if weight is None or weight.ndim != 2:
        raise ModelError(f"{weights}: no matrix called linear.weight")
    weight = weight.float()
    if config.get("use_residual", False):
        residual = tensors.get("residual.weight")
        weight = weight + (residual.float() if residual is not None else torch.eye(len(weight)))
    return weight


def _check_sizes(path: Path) -> None:
    for file in path.iterdir():
        limit = MAX_TOKENIZER_BYTES if file.name in TOKENIZER_FILES else MAX_CONFIG_BYTES
        if file.suffix in {".json", ".txt"} and file.stat().st_size > limit:
            raise ModelError(
                f"{file}: {file.stat().st_size:,} bytes, more than {limit:,} are not read"
            )


def _check_numbers(path: Path, config: dict[str, Any]) -> None:
    """Before modules are built by the numbers of a file."""
    for name, limit in LIMITS.items():
        value = config.get(name, 0)
        if isinstance(value, int | float) and not 0 <= value <= limit:
            raise ModelError(f"{path}/config.json: {name} is {value}, {limit} at most")


def _check_weights(path: Path) -> None:
    if (path / WEIGHTS).is_file() or (path / f"{WEIGHTS}.index.json").is_file():
        return
    pickled = [name for name in PICKLED if (path / name).is_file()]
    if pickled:
        raise ModelError(
            f"{path}: only {pickled[0]}, a pickle, which can run code and is never loaded",
            remedy=REMEDY,
        )
    raise ModelError(f"{path}: no {WEIGHTS}, other weights are not read", remedy=REMEDY)


def model_files(folder: Path) -> list[Path]:
    """Every file a model may be loaded from, sorted; notes of ours do not count."""
    # The folder and those of its modules; not the checkpoints that a run keeps inside.
    patterns = [
        folder_pattern + pattern for folder_pattern in ("", "[0-9]*_*/") for pattern in PATTERNS
    ]
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    # A weight of BM25 that was tuned changes no vector.
    return sorted(path for path in files if not path.name.startswith((".", "xtrove_")))


def model_digest(folder: Path) -> str:
    """SHA-256 (hex) over the files of a model."""
    digest = hashlib.sha256()
    for path in model_files(folder):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as stream:
            digest.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
