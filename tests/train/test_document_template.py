"""What a template makes of a function, which templates are none, and who fills them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evaluate.corpora.corpus import Corpus, Document
from evaluate.retrieval.context import SearchContext, SearcherOptions
from tests.train.tiny_models import made
from train.checkpoint.model_card import CardFacts
from train.checkpoint.save_load import load_model, save_model
from train.data.collate import Collate
from train.document_template import DocumentTemplate
from train.model.encoder import EncoderOptions
from train.model.files import recorded_template
from train.model.pretrained import load_base
from train.model.tokenizer import Kind


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{code}", "f()\n\n{x}"),
        ("{path}\n{scope}\n{code}", "a/b.py\nA.B\nf()\n\n{x}"),
        ("# {path} {{{name}}}\n{code}\n", "# a/b.py {f}\nf()\n\n{x}\n"),
    ],
)
def test_fields_are_filled(template: str, expected: str) -> None:
    filled = DocumentTemplate(template).render(
        code="f()\n\n{x}", path="a/b.py", scope="A.B", name="f"
    )
    assert filled == expected


def test_a_line_of_empty_fields_is_left_out() -> None:
    template = DocumentTemplate("in {path} {scope}\nsaid\n{code}")
    assert template.render(code="") == "said"
    assert template.render(code="f()") == "said\nf()"
    assert template.render(code="f()", scope="A") == "in  A\nsaid\nf()"


@pytest.mark.parametrize(
    "template",
    [
        *("", "{path}", "{code}{code}", "{code} {other}", "{code!r}", "{code:>9}", "{code.upper}"),
        *("{code[0]}", "{}{code}", "{code", "{code} " + "x" * 500),
    ],
)
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="document template"):
        DocumentTemplate(template)
    with pytest.raises(ValueError, match="document template"):
        EncoderOptions(document_template=template)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    options = EncoderOptions(
        dim=16, document_length=64, document_template="{path}\n{scope}\n{code}"
    )
    encoder = load_base(str(made("bert", root / "base")), options, seed=1)
    save_model(encoder, root / "saved", card=CardFacts(name="tiny", base="none"))
    return root / "saved"


def test_the_checkpoint_records_it(model: Path, tmp_path: Path) -> None:
    assert load_model(model).options.document_template == "{path}\n{scope}\n{code}"
    assert recorded_template(model).text == "{path}\n{scope}\n{code}"
    assert recorded_template(tmp_path).text == "{code}"
    (tmp_path / "config_sentence_transformers.json").write_text('{"document_template": "{x}"}')
    with pytest.raises(ValueError, match="document template"):
        recorded_template(tmp_path)
    settings = json.loads((model / "config_sentence_transformers.json").read_text())
    assert settings["document_template"] == "{path}\n{scope}\n{code}"


def test_a_model_reads_its_template_and_words_the_code(model: Path) -> None:
    document = Document(
        id="1", text="f()", path="o/r/a.py", path_in_repo="a.py", scope="A", name="f",
        start_line=1, end_line=1, language="python",
    )  # fmt: skip
    corpus = Corpus(name="one", documents=[document], queries=[])
    context = SearchContext(corpus, str(model), SearcherOptions(device="cpu"))
    assert context.texts == ["f()"] and context.encoded_texts == ["a.py\nA\nf()"]
    given = SearcherOptions(device="cpu", template="{name}: {code}")
    context = SearchContext(corpus, str(model), given)
    assert context.texts == context.encoded_texts == ["f: f()"]


@dataclass(frozen=True)
class ReadBatch:
    """A batch of a reader."""

    samples: list[dict[str, Any]]
    epoch: int = 0
    number: int = 0
    language: str = "python"
    size: int = 0


class Noting:
    """Keeps the documents it is given."""

    def __init__(self) -> None:
        self.documents: list[str] = []

    def __call__(self, texts: Any, kind: Kind) -> list[list[int]]:
        if kind == "document":
            self.documents += texts
        return [[1] for _ in texts]


def _texts(dropout: float, epoch: int, numbers: range, seed: int = 0) -> dict[str, str]:
    """Id -> text of what a training batch holds."""
    noting = Noting()
    samples = [
        {"id": f"s{n}", "query": "q", "code": f"f{n}()", "path": f"p{n}.py", "name": "f",
         "query_group": f"{n:016x}", "code_sha256": f"{n:016x}"}
        for n in numbers
    ]  # fmt: skip
    template = DocumentTemplate("{path}\n{code}")
    collate = Collate(tokenize=noting, template=template, path_dropout=dropout, seed=seed)
    batch = collate(ReadBatch(samples=samples, epoch=epoch))
    return dict(zip(batch.ids, noting.documents, strict=True))


def test_paths_are_dropped_by_seed_epoch_and_sample_alone() -> None:
    everything = range(400)
    assert set(_texts(0.0, 0, everything).values()) == {f"p{n}.py\nf{n}()" for n in everything}
    assert set(_texts(1.0, 0, everything).values()) == {f"f{n}()" for n in everything}
    texts = _texts(0.3, 0, everything)
    dropped = sum("\n" not in text for text in texts.values())
    assert 80 < dropped < 160
    # However the samples are batched, as after a stop and a resume.
    parts = _texts(0.3, 0, range(200, 400)) | _texts(0.3, 0, range(200))
    assert parts == texts
    assert _texts(0.3, 1, everything) != texts and _texts(0.3, 0, everything, seed=1) != texts
