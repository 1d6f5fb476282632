"""The encoder on a random model of each family: tokens, markers, lengths, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.tiny_models import FAMILIES, TEXTS, made
from train.model.encoder import Encoder, EncoderOptions, bucket, pad
from train.model.pretrained import load_base
from train.model.tokenizer import TextTokenizer, cut_bytes
from train.run.setup import without_dropout

OPTIONS = EncoderOptions(dim=16, query_length=20, document_length=64)


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = made(request.param, tmp_path_factory.mktemp(request.param) / "base")
    return load_base(str(folder), OPTIONS, seed=1).eval()


def test_the_marker_stands_behind_the_first_token(encoder: Encoder) -> None:
    names = encoder.tokenizer.convert_ids_to_tokens
    for kind, marker in (("query", "[Q] "), ("document", "[D] ")):
        for ids in encoder.tokenize(TEXTS, kind):
            tokens = names(ids)
            assert tokens[1] == marker
            assert tokens[0] in encoder.tokenizer.all_special_tokens
            assert tokens[-1] in encoder.tokenizer.all_special_tokens


def test_the_marker_is_all_that_is_added_to_the_cut_text(encoder: Encoder) -> None:
    plain = encoder.tokenizer(TEXTS, truncation=True, max_length=OPTIONS.query_length - 1)
    for ids, expected in zip(encoder.tokenize(TEXTS, "query"), plain["input_ids"], strict=True):
        assert ids[:1] + ids[2:] == expected
        assert len(ids) <= OPTIONS.query_length
    assert max(map(len, encoder.tokenize(TEXTS, "query"))) == OPTIONS.query_length


def test_markers_are_entries_of_vocabulary_and_embeddings(encoder: Encoder) -> None:
    ids = [encoder.tokenizer.convert_tokens_to_ids(m) for m in ("[Q] ", "[D] ")]
    rows = encoder.base.get_input_embeddings().weight
    assert len(set(ids)) == 2 and max(ids) < len(rows)
    assert not torch.equal(rows[ids[0]], rows[ids[1]])
    assert encoder.tokenizer.tokenize("[Q] ") == ["[Q] "]


def test_vectors_have_length_one_and_are_float32(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS, "document")
    assert vectors.values.dtype == np.float32 and vectors.values.shape[1] == OPTIONS.dim
    assert np.allclose(np.linalg.norm(vectors.values, axis=1), 1, atol=1e-6)
    lengths = [len(ids) for ids in encoder.tokenize(TEXTS, "document")]
    assert np.diff(vectors.offsets).tolist() == lengths
    assert len(vectors) == len(TEXTS)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_dropout_can_be_turned_off(family: str, tmp_path: Path) -> None:
    encoder = load_base(str(made(family, tmp_path / "base")), OPTIONS, seed=1).train()
    ids, mask = encoder.padded(encoder.tokenize(TEXTS, "document"), "document")
    with torch.no_grad():
        # ModernBERT has none.
        assert torch.equal(encoder(ids, mask), encoder(ids, mask)) == (family == "modernbert")
        without_dropout(encoder.base)
        assert torch.equal(encoder(ids, mask), encoder(ids, mask))


@pytest.mark.slow
@pytest.mark.parametrize("budget", [1, 100, 10_000])
def test_batches_change_nothing(encoder: Encoder, budget: int) -> None:
    together = encoder.encode(TEXTS, "document", token_budget=budget)
    backwards = encoder.encode(TEXTS[::-1], "document")
    for i, text in enumerate(TEXTS):
        alone = encoder.encode([text], "document").values
        assert np.abs(together[i] - alone).max() < 1e-5
        assert np.abs(backwards[len(TEXTS) - 1 - i] - alone).max() < 1e-5
    # The comparison can fail: the vectors of different texts differ.
    assert np.abs(together[0][2] - together[1][2]).max() > 1e-3


def test_the_kind_matters_to_every_token(encoder: Encoder) -> None:
    query = encoder.encode(TEXTS[5:], "query").values
    document = encoder.encode(TEXTS[5:], "document").values
    assert query.shape == document.shape
    # The last token sees the marker too.
    assert np.abs(query[-1] - document[-1]).max() > 1e-6


def test_encode_leaves_the_mode_and_tells_progress(encoder: Encoder) -> None:
    reported: list[int] = []
    encoder.train()
    try:
        encoder.encode(TEXTS, "query", token_budget=64, progress=reported.append)
        assert encoder.training and sum(reported) == len(TEXTS) and len(reported) > 1
    finally:
        encoder.eval()
    assert len(encoder.encode([], "query")) == 0


def test_gradients_reach_transformer_and_projection(encoder: Encoder) -> None:
    ids, mask = encoder.padded(encoder.tokenize(TEXTS[:2], "query"), "query")
    vectors = encoder(ids, mask)
    vectors[0, 1].dot(vectors[1, 2]).backward()
    assert encoder.projection.weight.grad is not None
    without = [
        name
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert without == []
    encoder.zero_grad(set_to_none=True)


def test_the_seed_decides_the_new_weights(tmp_path: Path) -> None:
    folder = str(made("bert", tmp_path / "base"))
    one, same, other = (load_base(folder, OPTIONS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.projection.weight, same.projection.weight)
    assert not torch.equal(one.projection.weight, other.projection.weight)
    marker = one.tokenizer.convert_tokens_to_ids("[D] ")
    rows = [e.base.get_input_embeddings().weight[marker] for e in (one, same, other)]
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])


def test_no_markers_where_the_options_say_so(tmp_path: Path) -> None:
    options = EncoderOptions(dim=16, query_prefix="", document_prefix="")
    encoder = load_base(str(made("t5", tmp_path / "base")), options, seed=1)
    plain = encoder.tokenizer(TEXTS, truncation=True, max_length=64)["input_ids"]
    assert encoder.tokenize(TEXTS, "query") == plain
    assert encoder.tokenizer.convert_ids_to_tokens(plain[0])[0] == "▁"


def test_the_tokenizer_goes_to_other_processes_without_the_model(encoder: Encoder) -> None:
    import copy

    sent = copy.deepcopy(encoder.text_tokenizer)
    assert isinstance(sent, TextTokenizer)
    assert sent(TEXTS, "document") == encoder.tokenize(TEXTS, "document")


def test_lengths_beyond_the_positions_are_refused(tmp_path: Path) -> None:
    folder = str(made("roberta", tmp_path / "base"))
    fits = EncoderOptions(dim=16, document_length=128)
    vectors = load_base(folder, fits, seed=1).encode([" ".join(TEXTS) * 9], "document")
    assert len(vectors.values) == 128
    with pytest.raises(ValueError, match="document_length is 129.*128 or less"):
        load_base(folder, EncoderOptions(dim=16, document_length=129), seed=1)


@pytest.mark.parametrize("field", ["dim", "query_length", "document_length", "max_text_bytes"])
def test_options_are_checked(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is 0"):
        EncoderOptions(**{field: 0})


def test_texts_are_cut_at_whole_characters() -> None:
    assert cut_bytes("abc", 3) == "abc"
    assert cut_bytes("aé数🙂", 3) == "aé"
    assert cut_bytes("aé数🙂", 5) == "aé"
    assert cut_bytes("aé数🙂", 6) == "aé数"
    assert cut_bytes("aé数🙂", 9) == "aé数"
    assert cut_bytes("aé数🙂", 10) == "aé数🙂"
    assert cut_bytes("\ud800x", 20) == "?x"
    assert len(cut_bytes("数" * 10_000, 100)) == 33


def test_long_texts_are_cut_before_they_are_tokenised(encoder: Encoder) -> None:
    options = EncoderOptions(dim=16, document_length=64, max_text_bytes=12)
    cut = TextTokenizer(encoder.tokenizer, options)
    assert cut(["short text " * 1000], "document") == cut(["short text s"], "document")
    assert cut(["  short \n"], "query") == cut(["short"], "query")


def test_few_padded_lengths() -> None:
    lengths = {bucket(tokens, 1024) for tokens in range(1, 1025)}
    assert len(lengths) <= 24 and max(lengths) == 1024
    for tokens in range(1, 1025):
        padded = bucket(tokens, 1024)
        assert tokens <= padded <= max(16, tokens * 1.25 + 16)
        assert bucket(tokens, tokens) == tokens
    ids, mask = pad([[5, 6], [7]], 4, 9)
    assert ids.tolist() == [[5, 6, 9, 9], [7, 9, 9, 9]]
    assert mask.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]
