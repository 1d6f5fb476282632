"""The specs that are shipped: every answer is there, in the versions that are installed here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.spec.resolve import spec_corpus
from evaluate.spec.spec import load_spec
from extract.text.query import fold

FOLDER = Path(__file__).resolve().parents[3] / "evaluate" / "specs"
SPECS = sorted(FOLDER.glob("*.json"))


def test_three_are_shipped() -> None:
    assert [path.stem for path in SPECS] == ["code_queries", "huggingface_hub", "xtrove"]


@pytest.mark.slow
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_answers_are_there_and_questions_do_not_repeat_documentation(path: Path) -> None:
    spec = load_spec(path)
    assert len(spec.queries) >= 25
    corpus = spec_corpus(spec)
    assert len(corpus.documents) >= 1_000  # so that there is an R@100 AUC
    kept = spec_corpus(spec, keep_documentation=True)
    texts = {document.id: fold(document.text) for document in kept.documents}
    for query in corpus.queries:
        for answer in query.relevant:
            assert fold(query.text) not in texts.get(answer, ""), (query.text, answer)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_they_say_what_they_hold_for(path: Path) -> None:
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert "checked by reading the code" in facts["note"]
    assert "requires" in facts or "Oldest version" in facts["note"]
