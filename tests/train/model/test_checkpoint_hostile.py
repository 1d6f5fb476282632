"""Folders of models that must not be trusted: refused by name, before anything is loaded."""

from __future__ import annotations

import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.train.tiny_models import made
from train.checkpoint.model_card import CardFacts, model_card
from train.checkpoint.save_load import load_model, save_model
from train.errors import ModelError
from train.model.encoder import EncoderOptions
from train.model.files import MAX_CONFIG_BYTES, fetch_model
from train.model.pretrained import load_base
from train.model.torch_archive import matrix_of

OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    encoder = load_base(str(made("bert", root / "base")), OPTIONS, seed=1)
    save_model(encoder, root / "model", card=CardFacts(name="tiny", base="x"))
    return root / "model"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "model")
    return tmp_path / "model"


def _edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("path", ["../1_Dense", "/etc", "a/../../b"])
def test_paths_stay_in_the_folder(folder: Path, path: str) -> None:
    shutil.copytree(folder / "1_Dense", folder.parent / "1_Dense")
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="leads out of the folder"):
        load_model(folder)


@pytest.mark.parametrize("where", ["", "1_Dense"])
def test_pickled_weights_are_refused(folder: Path, where: str) -> None:
    ran = folder / "ran"

    class Harmful:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (ran,))  # type: ignore[return-value]

    (folder / where / "model.safetensors").unlink()
    torch.save({"linear.weight": Harmful()}, folder / where / "pytorch_model.bin")
    with pytest.raises(ValueError, match="pickle|no plain matrix"):
        load_model(folder)
    assert not ran.exists()


def test_a_folder_with_pickles_alone_names_the_remedy(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"never loaded.*save_pretrained"):
        load_base(str(folder), OPTIONS, seed=1)


def test_code_of_the_folder_is_never_run(folder: Path) -> None:
    (folder / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    _edit(
        folder / "config.json",
        model_type="evil",
        auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"},
    )
    with pytest.raises(ValueError, match="trust_remote_code|evil"):
        load_model(folder)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "name", ["config.json", "modules.json", "config_sentence_transformers.json"]
)
def test_large_files_are_not_read(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as stream:
        stream.truncate(MAX_CONFIG_BYTES + 1)
    with pytest.raises(ValueError, match="are not read"):
        load_model(folder)


def test_a_large_tokenizer_is_not_read(folder: Path) -> None:
    with (folder / "tokenizer.json").open("ab") as stream:
        stream.truncate((128 << 20) + 1)
    with pytest.raises(ValueError, match="tokenizer.json: .* are not read"):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("modules.json", "[" * 100_000),
        ("modules.json", '{"idx": 0}'),
        ("modules.json", "[1]"),
        ("modules.json", json.dumps([{"path": "", "type": "x"}] * 17)),
        ("config_sentence_transformers.json", "[]"),
        ("1_Dense/config.json", "\xff"),
    ],
)
def test_broken_json_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=Path(name).name):
        load_model(folder)


@pytest.mark.parametrize(
    ("name", "value"), [("num_hidden_layers", 10**9), ("hidden_size", 10**9), ("vocab_size", -1)]
)
def test_absurd_sizes_are_refused_before_anything_is_built(
    folder: Path, name: str, value: int
) -> None:
    _edit(folder / "config.json", **{name: value})
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        load_model(folder)


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    _edit(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(ValueError, match="not those of its config.json: .* missing"):
        load_model(folder)


@pytest.mark.parametrize("value", ["64", -1, 1 << 40, None, 1.5])
def test_lengths_are_checked(folder: Path, value: Any) -> None:
    _edit(folder / "config_sentence_transformers.json", document_length=value)
    with pytest.raises(ValueError, match="document_length is"):
        load_model(folder)


@pytest.mark.parametrize(
    "setting", [{"do_query_expansion": True}, {"skiplist_words": ["."]}], ids=["expand", "skip"]
)
def test_what_would_be_measured_wrongly_is_refused(folder: Path, setting: dict[str, Any]) -> None:
    _edit(folder / "config_sentence_transformers.json", **setting)
    with pytest.raises(ValueError, match="measure it with PyLate"):
        load_model(folder)


@pytest.mark.parametrize(
    "change", [{"bias": True}, {"activation_function": "torch.nn.modules.activation.Tanh"}]
)
def test_a_projection_that_is_not_linear_is_refused(folder: Path, change: dict[str, Any]) -> None:
    _edit(folder / "1_Dense" / "config.json", **change)
    with pytest.raises(ValueError, match="only linear layers"):
        load_model(folder)


def test_a_projection_of_another_width_is_refused(folder: Path) -> None:
    save_file({"linear.weight": torch.zeros(16, 31)}, folder / "1_Dense" / "model.safetensors")
    with pytest.raises(ValueError, match=r"projection is \[16, 31\], not \[16, 32\]"):
        load_model(folder)


def test_what_is_no_encoder_is_refused(folder: Path) -> None:
    _edit(folder / "config.json", model_type="gpt2")
    with pytest.raises(ValueError, match="'gpt2' is no encoder"):
        load_model(folder)


def test_no_model_no_network_no_guess(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no config.json"):
        load_model(tmp_path / "empty")
    with pytest.raises(ModelError, match="neither a folder nor a name"):
        fetch_model(str(tmp_path / "absent"))


def test_a_name_of_the_hub_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="base: scratch"):
        fetch_model("nobody/nothing-at-all@main")


def test_a_projection_is_read_from_an_archive_without_unpickling(folder: Path) -> None:
    """The way google/xtr-base-en has it: `2_Dense/pytorch_model.bin` and no safetensors."""
    expected = load_model(folder).projection.weight.detach()
    linear = torch.nn.Linear(32, 16, bias=False)
    linear.weight = torch.nn.Parameter(expected)
    layer = torch.nn.Module()
    layer.linear = linear
    (folder / "1_Dense" / "model.safetensors").unlink()
    torch.save(layer.state_dict(), folder / "1_Dense" / "pytorch_model.bin")
    assert torch.equal(load_model(folder).projection.weight, expected)


def test_archives_of_anything_else_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    matrix = torch.arange(12.0).reshape(3, 4)
    torch.save({"linear.weight": matrix}, file)
    assert torch.equal(matrix_of(file, "linear.weight"), matrix)
    for wrong in (
        {"linear.weight": matrix.T},
        {"linear.weight": matrix[:, 1:]},
        {"linear.weight": matrix[1:]},
        {"linear.weight": matrix.half()},
        {"linear.weight": matrix, "linear.bias": matrix[0].clone()},
        {"other": matrix},
        {"linear.weight": torch.nn.Parameter(matrix)},
        matrix,
    ):
        torch.save(wrong, file)
        with pytest.raises(ValueError, match="no plain matrix linear.weight"):
            matrix_of(file, "linear.weight")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bomb", "readable"),
    [
        ("byteorder", False),
        ("data.pkl", False),
        ("data/0", False),
        ("version", True),
        ("entries", True),
    ],
)
def test_entries_of_an_archive_are_bounded(tmp_path: Path, bomb: str, readable: bool) -> None:
    """What is not needed is not read: torch alone takes 0.6 GB for such a `version`."""
    file = tmp_path / "pytorch_model.bin"
    torch.save({"linear.weight": torch.arange(12.0).reshape(3, 4)}, file)
    with zipfile.ZipFile(file) as archive:
        entries = {one.filename.partition("/")[2]: archive.read(one) for one in archive.infolist()}
    if bomb == "entries":
        entries |= {f"x{number}": b"" for number in range(20_000)}
    else:
        entries[bomb] = bytes(100_000_000)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            kind = zipfile.ZIP_DEFLATED if name == bomb else zipfile.ZIP_STORED
            archive.writestr(f"a/{name}", data, kind)
    del entries
    tracemalloc.start()
    if readable:
        assert matrix_of(file, "linear.weight").shape == (3, 4)
    else:
        with pytest.raises(ValueError, match=r"no plain matrix linear\.weight"):
            matrix_of(file, "linear.weight")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32_000_000


def test_a_small_pickle_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    """`weights_only` allows `bytearray(2_000_000_000)`, and a view of one number of any shape."""
    file = tmp_path / "pytorch_model.bin"
    count = (2_000_000_000).to_bytes(5, "little")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "a/data.pkl", b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + count + b"\x85R."
        )
        archive.writestr("a/data/0", bytes(48))
    with pytest.raises(ValueError, match="asks for builtins bytearray"):
        matrix_of(file, "linear.weight")
    torch.save({"linear.weight": torch.ones(1).expand(50_000, 50_000)}, file)
    with pytest.raises(ValueError, match="a view of other numbers"):
        matrix_of(file, "linear.weight")


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("google/xtr-base-en", "google/xtr-base-en"),
        ("google/xtr-base-en@abc", "google/xtr-base-en@abc"),
        ("/home/somebody/secret/model", "model"),
        ("/home/somebody/secret/model/", "model"),
        ("~/secret/model", "model"),
        ("./secret", "secret"),
        ("../secret/model", "model"),
        ("file:///home/somebody/model", "model"),
        ("runs/secret/model", "model"),
        ("C:\\secret\\model", "model"),
        ("/", "a local folder"),
        ("scratch", "scratch"),
    ],
)
def test_a_card_names_no_local_path(base: str, name: str) -> None:
    config = {"data": {"path": ["/home/somebody/secret"]}, "prefix": "[Q] "}
    facts = CardFacts(name="tiny", base=base, config=config)
    assert facts.as_dict()["base"] == name
    assert facts.as_dict()["config"] == {"data": {"path": ["secret"]}, "prefix": "[Q] "}
    text = model_card(facts, OPTIONS) + json.dumps(facts.as_dict())
    assert "somebody" not in text
    assert "/secret" not in text and "secret/" not in text


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"linear.weight": torch.arange(12.0).reshape(3, 4)}, file)
    data = file.read_bytes()
    for cut in (0, 10, len(data) // 2):
        file.write_bytes(data[:cut])
        with pytest.raises(ValueError, match="no plain matrix"):
            matrix_of(file, "linear.weight")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02cos\nsystem\n.")
        archive.writestr("a/data/0", b"")
    with pytest.raises(ValueError, match="asks for os system"):
        matrix_of(file, "linear.weight")
