"""A language has a row wherever languages are told apart: one without is named here, not in a
build."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from dedupe.lexer import LANGUAGES as LEXERS
from extract.parsing.languages import LANGUAGES as GRAMMARS
from extract.parsing.repair import _STARTS
from ingest.languages import EXTENSIONS, LANGUAGES
from ingest.licenses.file_head import _TOKENS
from xtrove.runtime.versions import DECISIVE

SCOPED = [name for name, row in GRAMMARS.items() if "@scope" in row.query]
"""C has nothing that holds functions."""


@pytest.mark.parametrize(
    "rows", [GRAMMARS, LEXERS, _STARTS, EXTENSIONS.values(), _TOKENS, [*SCOPED, "c"]]
)
def test_every_language_has_a_row(rows: Collection[str]) -> None:
    assert sorted(set(rows)) == list(LANGUAGES)


def test_every_grammar_decides_published_bytes() -> None:
    wheels = {row.module.replace("_", "-") for row in GRAMMARS.values()}
    assert wheels <= set(DECISIVE)
