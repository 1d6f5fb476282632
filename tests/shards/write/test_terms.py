"""Who may be given a dataset is a fact of its sources: what is not known to be open is not."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
import yaml

from ingest.sources.registry import SourceOptions
from ingest.terms import GATED, OPEN, THE_STACK
from shards.format.manifest import SourceFacts, load_manifest, parse_manifest
from shards.publish.local import read_local
from shards.verify.dataset import check_dataset
from shards.write.terms import UNKNOWN, terms_of, terms_of_kinds
from tests.shards import builder
from xtrove.core.errors import XtroveError

CASES = [
    # kind, recorded, what holds
    ("directory", None, OPEN),
    ("pairs", OPEN, OPEN),
    ("pairs", GATED, GATED),
    ("pairs", THE_STACK, THE_STACK),
    ("pairs", "some-later-word", UNKNOWN),
    ("pairs", "", UNKNOWN),
    ("the-stack", None, THE_STACK),
    ("the-stack-v2", None, THE_STACK),
    ("the-stack", OPEN, THE_STACK),
    ("some-later-kind", None, UNKNOWN),
    ("some-later-kind", OPEN, UNKNOWN),
]


@pytest.mark.parametrize(("kind", "recorded", "expected"), CASES)
def test_the_stricter_of_record_and_kind_holds(
    kind: str, recorded: str | None, expected: str
) -> None:
    assert terms_of(SourceFacts(name="a", kind=kind, revision="r", terms=recorded)) == expected


def test_every_kind_of_source_has_terms() -> None:
    union = typing.get_args(SourceOptions)[0]
    kinds = {options.model_fields["kind"].default for options in typing.get_args(union)}
    assert kinds == set(terms_of_kinds())


def _publishable(path: Path) -> bool:
    return not read_local(path, lambda path, done, total: None).gated


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "recorded", "expected"), CASES)
def test_only_what_is_known_to_be_open_is_published_for_all(
    tmp_path: Path, kind: str, recorded: str | None, expected: str
) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], [], kind=kind, terms=recorded).path
    card = (path / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert ("extra_gated_prompt" in head) == (expected != OPEN)
    assert ("## Terms" in card) == (expected != OPEN)
    if expected in (GATED, UNKNOWN):
        with pytest.raises(XtroveError, match=r"local \(.*is not known|is not known.*local \("):
            read_local(path, lambda path, done, total: None)
    else:
        assert _publishable(path) == (expected == OPEN)


def test_verify_finds_a_record_that_is_weaker_than_the_kind(tmp_path: Path) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], [], kind="the-stack", terms=OPEN).path
    [result] = check_dataset(path).findings
    assert "recorded as 'open'" in result.message
    sound = builder.build(
        tmp_path / "b", [builder.make_pair(1)], [], kind="the-stack", terms=THE_STACK
    ).path
    assert check_dataset(sound).sound


def test_the_card_names_the_terms_of_each_source(tmp_path: Path) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], [], terms=OPEN).path
    assert "| local | directory | r1 | open |" in (path / "README.md").read_text("utf-8")


def test_a_dataset_from_before_is_written_as_it_was(tmp_path: Path) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], []).path
    data = (path / "manifest.json").read_bytes()
    assert b'"terms"' not in data and parse_manifest(data).to_json() == data
    assert "| source | kind | revision |\n" in (path / "README.md").read_text("utf-8")
    assert load_manifest(path).sources[0].terms is None and check_dataset(path).sound
