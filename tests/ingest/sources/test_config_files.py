"""The configs that come with xtrove name sources that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from ingest.sources.registry import SourceOptions

FOLDER = Path(__file__).parents[3] / "config"
ADAPTER: TypeAdapter[list[SourceOptions]] = TypeAdapter(list[SourceOptions])


def kinds(path: Path) -> list[str]:
    sources = ADAPTER.validate_python(yaml.safe_load(path.read_text("utf-8"))["sources"])
    return [source.kind for source in sources]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("codesearchnet", ["codesearchnet"]),
        ("combined", ["codesearchnet", "the-stack", "pairs"]),
        ("directory", ["directory"]),
        ("git_history", ["git-history", "directory"]),
        ("the_stack", ["the-stack"]),
        ("the_stack_v2", ["the-stack-v2"]),
    ],
)
def test_the_sources_of_a_config_are_understood(name: str, expected: list[str]) -> None:
    assert kinds(FOLDER / f"{name}.yaml") == expected
