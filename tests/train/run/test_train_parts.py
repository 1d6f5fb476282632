"""Schedule, config, batches, device, logs: the parts of the trainer, each by itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.train.runs import config, dataset
from train.config import CacheSection, TrainConfig, differences
from train.data.collate import Ragged, pack, padded_length, shapes
from train.data.dataset import open_reader
from train.device import (
    _check_count,
    _check_shared,
    choose_device,
    known_peak,
    self_test,
    without_cudnn_attention,
)
from train.distributed import Processes
from train.errors import TrainingFault
from train.model.pretrained import attention_for, flash_attention_works
from train.run.cost import Arithmetic
from train.run.log import Meter, StepFacts, cut_from
from train.run.plan import _check_pool
from train.run.schedule import k_factor, learning_rate, rate_scales
from train.run.self_test import loss_self_test, losses
from train.run.setup import new_encoder
from train.run.step import new_stepper
from train.scores.xtr import MOST_TOKENS
from xtrove.core.errors import Misuse

CPU = torch.device("cpu")


def test_the_rate_rises_falls_and_ends_at_a_tenth() -> None:
    rates = [learning_rate(step, total=100, peak=2.0, warmup=0.1, final=0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * n for n in range(1, 11)])
    assert rates[9] == max(rates) == 2.0
    assert all(one > two for one, two in zip(rates[9:], rates[10:], strict=False))
    # Half the way down the cosine.
    assert rates[54] == pytest.approx((2.0 + 0.2) / 2)
    assert rates[-1] == pytest.approx(0.2)
    with pytest.raises(ValueError, match="step 100 is not in 0..99"):
        learning_rate(100, total=100, peak=1.0, warmup=0.1, final=0.1)


def test_k_comes_down_over_the_first_tenth() -> None:
    factors = [k_factor(step, total=100, start=4.0) for step in range(100)]
    assert factors[0] == 4.0
    assert factors[5] == pytest.approx(2.5)
    assert factors[10:] == [1.0] * 90


def test_what_decides_the_weights_is_in_the_digest(tmp_path: Path) -> None:
    base = config(tmp_path, tmp_path / "a")
    same = config(
        tmp_path,
        tmp_path / "b",
        device="auto",
        precision="bf16",
        compile=True,
        threads=7,
        loader={"workers": 3},
        validation={"every": 7},
        checkpoints={"every": 2},
        batch={"mini_batch_tokens": 999, "lengths": "few"},
    )
    cached = same.data.model_copy(update={"cache": CacheSection(max_bytes=2_000_000)})
    same = same.model_copy(update={"data": cached})
    assert same.digest() == base.digest()
    for changes in (
        {"optimizer": {"lr": 0.1}},
        {"batch": {"size": 16}},
        {"seed": 1},
        {"steps": 13},
        {"objective": {"k_train": 25}},
        {"lora": {"rank": 4}},
    ):
        other = config(tmp_path, tmp_path / "a", **changes)
        assert other.digest() != base.digest()
        assert len(differences(base.decisive(), other.decisive())) == 1
    assert differences({"a": {"b": 1}}, {"a": {"b": 2}}) == ["a.b: 1 -> 2"]


def test_rates_of_layers_worked_by_hand() -> None:
    # The names of BERT, ModernBERT and T5; adapters; what stands above the layers.
    scales = {
        "encoder.base.embeddings.LayerNorm.weight": 0.125,
        "encoder.base.shared.weight": 0.125,
        "encoder.base.base_model.model.embeddings.word.token_adapter.delta": 0.125,
        "encoder.base.encoder.layer.0.attention.self.query.weight": 0.25,
        "encoder.base.layers.1.mlp.Wi.weight": 0.5,
        "encoder.base.encoder.block.0.layer.1.wi.weight": 0.25,
        "encoder.base.base_model.model.encoder.layer.1.lora_A.default.weight": 0.5,
        "encoder.base.final_norm.weight": 1.0,
        "encoder.projection.weight": 1.0,
        "loss.log_temperature": 1.0,
    }
    assert rate_scales(scales, 0.5) == scales
    assert set(rate_scales(scales, 1.0).values()) == {1.0}


def test_configs_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for changes, words in (
        ({"objective": {"kind": "kd"}}, "negatives.path"),
        ({"batch": {"mini_batch_tokens": 31}}, "lower encoder.document_length"),
        ({"batch": {"sise": 3}}, "Extra inputs"),
        ({"device": "tpu"}, "match pattern"),
    ):
        with pytest.raises(ValidationError, match=words):
            config(tmp_path, tmp_path, **changes)


@pytest.mark.parametrize(
    "name", ["train_combined_gpu", "train_combined_mps", "train_minilm_cpu", "train_smoke"]
)
def test_the_configs_in_the_repository_are_understood(name: str) -> None:
    from xtrove.config.train import as_yaml, load

    path = Path(__file__).resolve().parents[3] / "config" / f"{name}.yaml"
    loaded = load(path)
    assert loaded.output == f"checkpoints/{loaded.name}"
    assert "Q]" in as_yaml(loaded)


@given(
    lengths=st.lists(st.integers(1, 200), max_size=40),
    budget=st.integers(64, 2000),
    few=st.booleans(),
)
def test_packing_keeps_every_token_once(lengths: list[int], budget: int, few: bool) -> None:
    side = Ragged.of([list(range(1, length + 1)) for length in lengths])
    mode = "few" if few else "fine"
    minis = pack(side, budget=budget, lengths=mode, limit=200, pad=0, device=CPU)
    rows = [row for mini in minis for row in mini.positions.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    for mini in minis:
        count, length = mini.input_ids.shape
        assert count * length <= budget or count == 1
        assert length <= 200
        for place, row in enumerate(mini.positions.tolist()):
            real = mini.input_ids[place][mini.attention_mask[place].bool()].tolist()
            assert real == list(range(1, lengths[row] + 1))
        assert int((mini.input_ids * (1 - mini.attention_mask)).sum()) == 0
    if few and lengths:
        allowed = set(shapes("few", limit=200, budget=budget))
        assert {tuple(mini.input_ids.shape) for mini in minis} <= allowed


def test_padding_is_small_and_shapes_are_few() -> None:
    lengths = np.random.default_rng(0).gamma(2.0, 60.0, 2000).astype(int).clip(5, 512)
    side = Ragged.of([[1] * int(length) for length in lengths])
    padding = {}
    for mode in ("fine", "few"):
        minis = pack(side, budget=8192, lengths=mode, limit=512, pad=0, device=CPU)
        padded = sum(mini.input_ids.numel() for mini in minis)
        padding[mode] = 1 - side.tokens / padded
    assert padding["fine"] < 0.09
    assert padding["few"] < 0.25
    assert len(set(shapes("few", limit=512, budget=8192))) <= 100
    assert len({padded_length(n, "few", 512) for n in range(1, 513)}) <= 11


def test_an_empty_side_is_one_mini_batch_without_rows() -> None:
    (mini,) = pack(Ragged.of([]), budget=64, lengths="fine", limit=32, pad=0, device=CPU)
    assert mini.input_ids.shape == (0, 8)


def test_a_process_without_texts_meets_the_others_without_the_transformer(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", python=20, go=0)
    chosen = config(data, tmp_path / "run")
    with open_reader(chosen, "train") as reader:
        stepper = new_stepper(
            chosen, new_encoder(chosen, reader), choose_device("cpu", "fp32"), Processes()
        )
    seen: list[int] = []
    stepper.encoder.base.register_forward_pre_hook(
        lambda module, args, words: seen.append(len(words["input_ids"])), with_kwargs=True
    )
    empty, full = torch.zeros(0, 16, dtype=torch.int64), torch.ones(2, 16, dtype=torch.int64)
    vectors = stepper._encode(empty, empty)
    assert vectors.shape == (0, 16, 16)
    assert vectors.requires_grad
    assert stepper._encode(full, full).shape == (2, 16, 16)
    assert seen == [2]


def test_a_device_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    device = choose_device("auto", "auto")
    assert device.torch == CPU
    assert device.precision == "fp32"
    assert device.peak_measured
    assert device.peak_flops > 1e9
    assert "cpu" in device.describe()
    with pytest.raises(Misuse, match="0 CUDA cards"):
        choose_device("cuda:1", "auto")
    with pytest.raises(Misuse, match="'mps' is not there"):
        choose_device("mps", "auto")
    for word in ("gpu", "cuda:x", "cudax"):
        with pytest.raises(Misuse, match=f"device: '{word}' is none"):
            choose_device(word, "auto")


def test_a_wrong_top_k_stops_the_run() -> None:
    def wrong(values: torch.Tensor, k: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
        # As MPS had it: right up to 16, then garbage.
        result = torch.topk(values, k, dim=dim)
        return (result.values, result.indices) if k <= 16 else (result.values, result.indices * 0)

    self_test(CPU)
    self_test(CPU, lambda values, k, dim: torch.topk(values, k, dim=dim))
    with pytest.raises(TrainingFault, match="top-k of 17 on cpu differs"):
        self_test(CPU, wrong)


def test_attentions_that_cannot_be_trusted_are_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enabled = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        without_cudnn_attention()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(enabled)
    assert attention_for("cpu") == "sdpa"
    # A package that is found and cannot be loaded, as a wheel for another torch.
    package = tmp_path / "flash_attn"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "flash_attn_interface.py").write_text("raise ImportError('undefined symbol')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: True)
    assert not flash_attention_works() and attention_for("cuda") == "sdpa"
    sys.modules.pop("flash_attn", None)
    (package / "flash_attn_interface.py").write_text("")
    assert attention_for("cuda") == "flash_attention_2"
    assert attention_for("cuda", fp32=True) == "sdpa"
    assert attention_for("cuda", "bert") == "sdpa"
    for name in ("flash_attn", "flash_attn.flash_attn_interface"):
        sys.modules.pop(name, None)


def test_processes_do_not_share_a_device() -> None:
    apple, card = torch.device("mps"), torch.device("cuda", 0)
    for here in (1, 2):
        with pytest.raises(Misuse, match="2 processes on Apple GPUs"):
            _check_shared("auto", apple, here, 2)
    _check_shared("auto", apple, 1, 1)
    with pytest.raises(Misuse, match="'cuda:0' is one card for 8 processes"):
        _check_shared("cuda:0", card, 8, 8)
    for name in ("auto", "cuda"):
        _check_shared(name, card, 8, 8)
    _check_shared("cuda:0", card, 1, 4)
    with pytest.raises(Misuse, match="process 4 of this machine has no card: torch sees 4"):
        _check_count(4, 4)
    _check_count(3, 4)


def test_the_peak_of_a_card_is_found_by_whole_words() -> None:
    cards = {
        "NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H100 PCIe": 756e12, "NVIDIA L40": 181e12,
        "NVIDIA A100-SXM4-80GB": 312e12, "NVIDIA L40S": 362e12, "NVIDIA L4": 121e12,
        "NVIDIA RTX A1000": None, "NVIDIA A10": 125e12, "NVIDIA A10G": None,
    }  # fmt: skip
    assert {card: known_peak(card) for card in cards} == cards


def test_a_batch_that_cannot_be_retrieved_from_is_refused_before_it(tmp_path: Path) -> None:
    chosen = config(tmp_path, tmp_path, batch={"size": 65_536})
    _check_pool(MOST_TOKENS - 1, chosen)
    _check_pool(2 * MOST_TOKENS, config(tmp_path, tmp_path, objective={"kind": "maxsim"}))
    with pytest.raises(Misuse, match="document tokens") as caught:
        _check_pool(2 * MOST_TOKENS, chosen)
    assert "batch.size: 26,214 or less" in (caught.value.remedy or "")


def test_a_wrong_loss_of_a_device_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference is exact on a CPU; a device whose gradients are lost is named."""
    first, again = losses(CPU), losses(CPU)
    for (name, *values), (_, *others) in zip(first, again, strict=True):
        assert all(torch.equal(*pair) for pair in zip(values, others, strict=True)), name
        assert all(float(value.abs().max()) > 0 for value in values)

    def wrong(device: torch.device) -> list[tuple[str, torch.Tensor, torch.Tensor, torch.Tensor]]:
        (xtr, loss, queries, documents), maxsim = losses(CPU)
        if device.type != "cpu":
            documents = documents.clone()
            documents[7] = 0
        return [(xtr, loss, queries, documents), maxsim]

    monkeypatch.setattr("train.run.self_test.losses", wrong)
    with pytest.raises(TrainingFault, match="the xtr loss on meta is not the CPU's: its documents"):
        loss_self_test(torch.device("meta"))


def _facts(step: int, seconds: float = 1.0) -> StepFacts:
    return StepFacts(
        step=step,
        epoch=0,
        batch=step,
        language="go",
        pairs=10,
        tokens=600,
        padded_tokens=800,
        flops=3e9,
        loss=0.1,
        lr=1e-4,
        gradient_norm=1.0,
        seconds=seconds,
        waited=seconds / 4,
        peak_bytes=0,
        loss_facts={"k": 64.0},
    )


def test_speed_is_that_of_the_last_steps_without_the_first() -> None:
    meter = Meter(peak_flops=10e9)
    meter.add(_facts(0, seconds=100.0))
    meter.add(_facts(1))
    speed = meter.add(_facts(2))
    assert speed.pairs_per_second == pytest.approx(10)
    assert speed.tokens_per_second == pytest.approx(600)
    assert speed.padding == pytest.approx(0.25)
    assert speed.mfu == pytest.approx(0.3)
    assert speed.waited == pytest.approx(0.25)


def test_the_log_has_the_loss_bit_by_bit_and_is_cut_at_a_step(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [{"event": "step", **_facts(step).row()} for step in range(4)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text + '{"event": "step", "step": 4, "lo', encoding="utf-8")
    cut_from(path, 3)
    kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in kept] == [0, 1, 2]
    assert {float.fromhex(row["loss_hex"]) for row in kept} == {0.1}
    assert kept[0]["k"] == 64.0


def test_flops_of_modernbert_base_are_the_published_ones() -> None:
    base = Arithmetic(
        dense_parameters=110_331_648, width=768, full_layers=8, window_layers=14, window=128
    )
    assert base.training_flops(np.array([256])) / 256 == pytest.approx(0.697e9, rel=1e-3)
    assert base.training_flops(np.array([512])) / 512 == pytest.approx(0.716e9, rel=1e-3)


def test_a_config_comes_back_from_its_own_dump(tmp_path: Path) -> None:
    chosen = config(tmp_path, tmp_path, lora={"rank": 4}, negatives={"path": "x"})
    assert TrainConfig.model_validate(chosen.dump()) == chosen
