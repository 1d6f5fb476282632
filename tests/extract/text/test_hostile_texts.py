"""Documentation that would take long to read."""

from __future__ import annotations

import time

from extract.parsing.docstrings import python_docstring
from extract.text.query import normalise_query


def test_paragraphs_of_markup_alone_take_linear_time() -> None:
    """`<p><b>` again and again: each paragraph cleaned all before it, 18.9 s for 82 kB."""
    begin = time.process_time()
    for language in ("java", "rust", "python"):
        normalise_query("<p><b>" * 14_000, language, "doc_comment")
    assert time.process_time() - begin < 1


def test_blank_lines_before_a_docstring_take_linear_time() -> None:
    """`inspect.cleandoc` takes them off one by one."""
    begin = time.process_time()
    for blank in ("\n", "  \n"):
        raw = f'"""{blank * 100_000}  Say it.\n    Twice.\n  """'
        assert python_docstring(raw) == "Say it.\n  Twice."
        assert python_docstring(raw.replace(blank * 100_000, blank * 3)) == "Say it.\n  Twice."
    assert time.process_time() - begin < 1
