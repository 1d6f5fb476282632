"""Publishing at the edges: a long attribution, and a run that is cut when nothing stands yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shards.publish.local import MOST_ATTRIBUTION
from tests.hub.running import Reader, RunningHub, running_hub, running_reader
from tests.shards import builder


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A Hub and a process that publishes to it."""

    hub: RunningHub
    client: Reader

    def publish(self, path: Path, repo: str) -> dict[str, Any]:
        """A publication that has to succeed."""
        done: dict[str, Any] = self.client.get("publish", path=str(path), repo=repo)
        return done

    def is_cut_at(self, match: str, path: Path, repo: str) -> None:
        """A publication that fails at a request, and a Hub that is well again."""
        self.hub.faults({"match": match, "times": -1, "status": 503})
        answer = self.client.ask("publish", path=str(path), repo=repo, tries=1)
        assert "503" in answer["error"], answer
        self.hub.forget()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything, once."""
    with (
        running_hub(tmp_path_factory.mktemp("hub"), 7) as hub,
        running_reader(hub, "tests.hub.publishing") as client,
    ):
        yield Place(hub=hub, client=client)


def test_a_long_attribution_is_staged_like_a_shard(place: Place, tmp_path: Path) -> None:
    """One that is over what is read as a small file could not be published at all."""
    path = builder.build(tmp_path, [builder.make_pair(1)], []).path
    attribution, sums = path / "ATTRIBUTION.jsonl", path / "SHA256SUMS"
    before = hashlib.sha256(attribution.read_bytes()).hexdigest()
    with attribution.open("ab") as file:
        file.truncate(MOST_ATTRIBUTION + 1)
    after = hashlib.sha256(attribution.read_bytes()).hexdigest()
    sums.write_text(sums.read_text().replace(before, after))
    place.is_cut_at("*/commit/main", path, "o/long")
    staged = place.hub.store.resolve("o/long", "xtrove-staging-main")
    assert staged is not None
    assert place.hub.store.blob("o/long", staged, "ATTRIBUTION.jsonl") is not None
    done = place.publish(path, "o/long")
    assert not [one for one in place.hub.log() if one["method"] == "PUT"], "nothing is sent twice"
    held = place.hub.store.blob("o/long", done["commit"], "ATTRIBUTION.jsonl")
    assert held is not None and held.sha256 == after


@pytest.mark.parametrize("moment", ["*/branch/*", "*/settings"])
def test_cut_right_after_the_repository_was_made_it_is_opened_all_the_same(
    place: Place, tmp_path: Path, moment: str
) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], [], kind="the-stack").path
    repo = f"o/first-{moment.strip('*/')}"
    place.is_cut_at(moment, path, repo)
    assert place.publish(path, repo)["private"] is False
    access = place.hub.store.access(repo)
    assert (access.visibility, access.gate) == ("gated", "auto")


@pytest.mark.slow
def test_a_private_repository_made_by_hand_stays_private(place: Place, tmp_path: Path) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], [], kind="the-stack").path
    assert place.hub.store.create("o/by-hand", "hf_write_secret", private=True)
    assert place.publish(path, "o/by-hand")["private"] is True
    assert place.hub.store.access("o/by-hand").visibility == "private"
