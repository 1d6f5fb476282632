"""The funnel's own file: what was noted of files stands beside the sum, not in it."""

from __future__ import annotations

import json

import pytest

from shards.format.funnel import SYNTAX_ERRORS, Funnel
from xtrove.core.errors import DamagedData


def made(noted: int) -> Funnel:
    funnel = Funnel()
    funnel.add("s", "ruby", "files", count=3)
    funnel.add("s", "ruby", "files", reason="too_large")
    if noted:
        funnel.at("s", "ruby", "files").noted[SYNTAX_ERRORS] += noted
    return funnel


def test_what_is_noted_is_no_part_of_the_sum() -> None:
    funnel = made(2)
    assert funnel.check() == []
    data = funnel.to_json()
    level = json.loads(data)["totals"]["files"]
    assert level == {
        "seen": 4, "dropped": {"too_large": 1}, "kept": 3, "noted": {"with_syntax_errors": 2}
    }  # fmt: skip
    assert Funnel.from_json(data).to_json() == data


def test_notes_of_slices_add_up() -> None:
    funnel = made(2)
    funnel.merge(made(0))
    funnel.merge(made(5))
    assert funnel.totals()["files"].noted == {SYNTAX_ERRORS: 7}


def test_without_notes_the_file_is_what_it_was() -> None:
    assert b"noted" not in made(0).to_json()


def test_a_negative_note_is_found() -> None:
    funnel = made(1)
    funnel.at("s", "ruby", "files").noted[SYNTAX_ERRORS] = -1
    assert funnel.check() == ["s/ruby/files: a count is negative"]


def test_a_note_that_is_no_table_is_refused() -> None:
    document = json.loads(made(1).to_json())
    document["totals"]["files"]["noted"] = 3
    with pytest.raises(DamagedData):
        Funnel.from_json(json.dumps(document).encode())
