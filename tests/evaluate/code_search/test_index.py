"""An index of code follows its folder: what changed is encoded again and nothing else, and what
it finds is what a fresh index finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from evaluate.code_search import index as code_index
from evaluate.code_search import search as code_search
from evaluate.code_search import state as code_state
from evaluate.code_search.index import Snapshot, update
from evaluate.code_search.search import VectorSearch, WordsSearch, snapshot_tokens
from evaluate.index.token_index import build_index
from evaluate.retrieval.bm25 import Bm25Searcher
from evaluate.retrieval.maxsim import MaxSimSearcher
from tests.evaluate.code_folder import (
    KITCHEN,
    QUESTIONS,
    CountedEncoder,
    documents,
    make_folder,
    places,
    replace_text,
    same_times,
    updated,
)
from tests.train.tiny_models import bert
from train.checkpoint.save_load import load_model
from train.document_template import DocumentTemplate

ROOT = Path(__file__).resolve().parents[3]
ALL = {
    "home/garden.py:2-4 plant",
    "home/garden.py:6-11 water",
    "home/garden.py:7-8 each",
    "home/kitchen.py:1-3 pour",
    "home/kitchen.py:6-9 wash",
    "server.go:4-10 Listen",
    "settings.py:1-40 ",
    "settings.py:31-50 ",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert(tmp_path_factory.mktemp("model"))


@pytest.fixture
def encoder(model: Path) -> CountedEncoder:
    return CountedEncoder(encoder=load_model(model))


def _words_as_fresh(snapshot: Snapshot) -> None:
    texts = [document.text for document in documents(snapshot)]
    fresh = Bm25Searcher.over(texts, snapshot.languages)
    result = WordsSearch(snapshot).search(list(QUESTIONS), len(texts))
    required = fresh.search(list(QUESTIONS), len(texts))
    assert (required.ids[:, 0] >= 0).sum() >= 3
    np.testing.assert_allclose(result.scores, required.scores, rtol=1e-4)
    np.testing.assert_array_equal(result.ids, required.ids)


def _vectors_as_fresh(snapshot: Snapshot, encoder: CountedEncoder, folder: Path) -> None:
    model = encoder.encoder
    texts = [document.text for document in documents(snapshot)]
    index = build_index(folder, texts, partial(model.encode, kind="document"), precision="int8")
    ask = partial(model.encode, kind="query")
    fresh = MaxSimSearcher(index=index, encode=ask, device=model.device)
    required = fresh.search(list(QUESTIONS), len(texts))
    result = VectorSearch(snapshot, lambda text: ask([text]).values).search(
        list(QUESTIONS), len(texts)
    )
    # A text encoded beside others differs by rounding, and int8 makes steps of that.
    np.testing.assert_allclose(result.scores, required.scores, atol=2e-3)
    over = MaxSimSearcher(index=snapshot_tokens(snapshot), encode=ask, device=model.device)
    same = over.search(list(QUESTIONS), len(texts))
    np.testing.assert_allclose(result.scores, same.scores, atol=1e-5)


def test_functions_are_found_with_documentation_and_windows_without(
    tmp_path: Path, root: Path
) -> None:
    snapshot = updated(tmp_path, root)
    assert places(snapshot) == ALL
    assert snapshot.changes.documents == len(snapshot) == len(ALL)
    texts = {document.name: document.text for document in documents(snapshot)}
    assert '"""Fill a glass."""' in texts["pour"]
    assert texts["Listen"].startswith("Listen accepts connections until the server is closed.")
    _words_as_fresh(snapshot)


@pytest.mark.slow
def test_only_what_changed_is_encoded_again(
    tmp_path: Path, root: Path, encoder: CountedEncoder
) -> None:
    updated(tmp_path, root, encoder)
    assert len(encoder.given) == len(ALL)
    encoder.given.clear()
    replace_text(root / "home" / "kitchen.py", "wash", "scrub")
    (root / "server.go").unlink()
    (root / "shed.py").write_text("def rake(leaves):\n    leaves.clear()\n")
    snapshot = updated(tmp_path, root, encoder)
    assert sorted(text.split("(")[0] for text in encoder.given) == [
        "def pour", "def rake", "def scrub",
    ]  # fmt: skip
    assert places(snapshot) == {
        *(one for one in ALL if "wash" not in one and "server" not in one),
        "home/kitchen.py:6-9 scrub",
        "shed.py:1-2 rake",
    }
    changes = snapshot.changes
    assert (changes.cut, changes.removed, changes.documents) == (2, 1, 3)
    assert snapshot.languages == {"python"}
    _words_as_fresh(snapshot)
    _vectors_as_fresh(snapshot, encoder, tmp_path / "fresh")


def test_an_unchanged_folder_is_not_read(
    tmp_path: Path, root: Path, encoder: CountedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_state, "UNSURE", 0)
    assert updated(tmp_path, root, encoder).changes.read == 4
    encoder.given.clear()
    state = (tmp_path / "store" / "state.json").stat().st_ino
    snapshot = updated(tmp_path, root, encoder)
    assert snapshot.changes.read == 0
    assert (tmp_path / "store" / "state.json").stat().st_ino == state
    os.utime(root / "server.go")
    touched = updated(tmp_path, root, encoder)
    assert (touched.changes.read, touched.changes.cut) == (1, 0)
    assert updated(tmp_path, root, encoder).changes.read == 0
    assert not encoder.given
    # Times of modification can be put back, those of change cannot.
    same_times(root / "home" / "kitchen.py", KITCHEN.replace("wash", "hash"))
    assert "home/kitchen.py:6-9 hash" in places(updated(tmp_path, root, encoder))


def test_what_changed_a_moment_ago_is_read_again(tmp_path: Path, root: Path) -> None:
    assert code_state.sure((5, 10, 20), (5, 10, 20), 20 + code_state.UNSURE) == (-1, -1, -1)
    assert code_state.sure((5, 10, 20), (5, 10, 20), 21 + code_state.UNSURE) == (5, 10, 20)
    assert code_state.sure((5, 10, 20), (5, 10, 21), 1 << 60) == (-1, -1, -1)
    updated(tmp_path, root)
    assert (updated(tmp_path, root).changes.read, updated(tmp_path, root).changes.cut) == (4, 0)


@pytest.mark.slow
def test_many_segments_become_few_without_encoding(
    tmp_path: Path, root: Path, encoder: CountedEncoder
) -> None:
    updated(tmp_path, root, encoder)
    for turn in range(code_index.SEGMENTS):
        (root / f"added{turn}.py").write_text(f"def added{turn}(glass):\n    return {turn}\n")
        encoder.given.clear()
        snapshot = updated(tmp_path, root, encoder)
        assert len(encoder.given) == 1
        assert len(snapshot.segments) <= code_index.SEGMENTS
    assert len(snapshot.segments) < 3
    assert len(snapshot) == len(ALL) + code_index.SEGMENTS
    folders = [path for path in (tmp_path / "store").iterdir() if path.is_dir()]
    assert len(folders) == len(snapshot.segments)
    _words_as_fresh(snapshot)
    _vectors_as_fresh(snapshot, encoder, tmp_path / "fresh")


@pytest.mark.slow
def test_what_is_half_dead_is_copied_without_the_dead(
    tmp_path: Path, root: Path, encoder: CountedEncoder
) -> None:
    updated(tmp_path, root, encoder)
    for name in ("home/garden.py", "settings.py"):
        (root / name).unlink()
    snapshot = updated(tmp_path, root, encoder)
    assert [len(segment) for segment in snapshot.segments] == [3]
    assert len(encoder.given) == len(ALL)
    _words_as_fresh(snapshot)
    _vectors_as_fresh(snapshot, encoder, tmp_path / "fresh")


def test_a_first_indexing_that_was_stopped_goes_on(
    tmp_path: Path, root: Path, encoder: CountedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_index, "ENCODED", 2)
    encoder.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        updated(tmp_path, root, encoder)
    kept = len(encoder.given)
    assert 0 < kept < len(ALL)
    encoder.stop_after = None
    snapshot = updated(tmp_path, root, encoder)
    assert snapshot.changes.documents == len(ALL) - kept
    assert len(encoder.given) == len(ALL)
    assert places(snapshot) == ALL


CHILD = """
import sys, time
from pathlib import Path
from evaluate.code_search import index as code_index
code_index.COUNTED = 1
def told(what, done, total):
    if done == 2:
        sys.stdout.write("two\\n"); sys.stdout.flush()
        time.sleep(60)
code_index.update(Path(sys.argv[1]), Path(sys.argv[2]), None, told)
"""


def test_after_kill_9_what_was_done_is_kept_and_nothing_is_left(tmp_path: Path, root: Path) -> None:
    store = tmp_path / "store"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store), str(root)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"two\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    (store / ".segment-half").mkdir()
    (store / ".state.json-half").write_text("{")
    (store / "segment-orphan").mkdir()
    snapshot = updated(tmp_path, root)
    assert snapshot.changes.cut == 2
    assert places(snapshot) == ALL
    kept = {segment.folder.name for segment in snapshot.segments}
    assert {path.name for path in store.iterdir()} == {"state.json", *kept}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["documents.jsonl", "words.txt", "means.bin", "tokens/values.bin"])
def test_a_damaged_index_is_made_anew(
    tmp_path: Path, root: Path, encoder: CountedEncoder, name: str
) -> None:
    segment = updated(tmp_path, root, encoder).segments[0]
    with (segment.folder / name).open("r+b") as file:
        file.truncate(3)
    snapshot = updated(tmp_path, root, encoder)
    assert places(snapshot) == ALL
    assert snapshot.changes.documents == len(ALL)
    _words_as_fresh(snapshot)


@pytest.mark.parametrize(
    "state",
    [
        b"{",
        b"[]",
        b'{"format": "xtrove-search-1", "files": {"a": [1]}}',
        b"\xff" * 9,
        b"[" * 99_999,
    ],
)
def test_a_state_that_is_not_ours_is_made_anew(tmp_path: Path, root: Path, state: bytes) -> None:
    updated(tmp_path, root)
    (tmp_path / "store" / "state.json").write_bytes(state)
    assert updated(tmp_path, root).changes.documents == len(ALL)


def test_a_state_that_points_outside_is_refused(tmp_path: Path, root: Path) -> None:
    updated(tmp_path, root)
    path = tmp_path / "store" / "state.json"
    name = updated(tmp_path, root).segments[0].folder.name
    path.write_text(path.read_text().replace(name, "../project"))
    assert updated(tmp_path, root).changes.documents == len(ALL)
    assert (root / "server.go").is_file()


def test_hostile_folders_are_counted(tmp_path: Path, root: Path) -> None:
    (root / "binary.py").write_bytes(b"def f():\n\0\n")
    (root / "latin.py").write_bytes(b"def f():\n    return '\xff'\n")
    (root / "huge.py").write_bytes(b"x = 1\n" * 200_000)
    (root / "minified.js").write_text("x=1;" * 30_000)
    (root / "empty.py").write_text("")
    (root / "link.py").symlink_to(root / "server.go")
    (root / "loop").symlink_to(root)
    (root / "new\nline.py").write_text("def f(): pass\n")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.py")).write_text("def f(): pass\n")
    os.mkfifo(root / "pipe.py")
    (root / "node_modules").mkdir()
    (root / "node_modules" / "hidden.js").write_text("function hidden() { return 1 }\n")
    started = time.process_time()
    snapshot = updated(tmp_path, root)
    assert time.process_time() - started < 30
    assert places(snapshot) == ALL
    assert snapshot.left_out == {
        "empty": 1, "invalid_path": 2, "minified": 1, "not_a_file": 1, "not_utf8": 1,
        "null_byte": 1, "symlink": 1, "too_large": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_candidates_are_scored_as_all_are(
    tmp_path: Path, root: Path, encoder: CountedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = updated(tmp_path, root, encoder)

    def ask(text: str) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return encoder.encoder.encode([text], "query").values  # type: ignore[return-value]

    exact = VectorSearch(snapshot, ask)
    assert exact.whole
    all_of_them = exact.search(list(QUESTIONS), len(ALL))
    quick = VectorSearch(snapshot, ask, exact=0)
    assert not quick.whole
    result = quick.search(list(QUESTIONS), len(ALL))
    np.testing.assert_array_equal(result.ids, all_of_them.ids)
    monkeypatch.setattr(code_search, "CANDIDATES", 3)
    monkeypatch.setattr(code_search, "WORD_CANDIDATES", 1)
    assert quick.scored == 3
    # What a filter leaves out takes no place among the candidates.
    last = np.sort(all_of_them.ids[0][-2:]).astype(np.int64)
    for exact_limit in (0, 1 << 27):
        few = VectorSearch(snapshot, ask, exact=exact_limit, only=last)
        assert few.scored == 2
        assert few.search([QUESTIONS[0]], 2).ids[0].tolist() == all_of_them.ids[0][-2:].tolist()
    for row, ids in enumerate(quick.search(list(QUESTIONS), 8).ids):
        kept = set(ids[ids >= 0].tolist())
        assert len(kept) == 3
        pairs = zip(all_of_them.ids[row].tolist(), all_of_them.scores[row].tolist(), strict=True)
        required = dict(pairs)
        few = quick.search([QUESTIONS[row]], 3)
        for number, score in zip(few.ids[0].tolist(), few.scores[0].tolist(), strict=True):
            assert score == pytest.approx(required[number], abs=1e-6)
        word = WordsSearch(snapshot).search([QUESTIONS[row]], 1).ids[0, 0]
        assert int(word) in kept


def test_a_snapshot_outlives_what_others_do(
    tmp_path: Path, root: Path, encoder: CountedEncoder
) -> None:
    snapshot = updated(tmp_path, root, encoder)
    before = places(snapshot)
    for path in list(root.rglob("*.py")):
        path.unlink()
    updated(tmp_path, root, encoder)
    assert not any(segment.folder.exists() for segment in snapshot.segments)
    assert places(snapshot) == before
    _vectors_as_fresh(snapshot, encoder, tmp_path / "fresh")


def test_the_template_is_filled_for_the_model_and_not_for_words(
    tmp_path: Path, root: Path, encoder: CountedEncoder
) -> None:
    template = DocumentTemplate("{path} {scope} {name}\n{code}")
    snapshot = update(tmp_path / "store", root, encoder.load, template=template)
    expected = {
        f"{document.path} {document.scope} {document.name}".strip() + f"\n{document.text}"
        for document in documents(snapshot)
    }
    assert {text.replace("  \n", "\n", 1) for text in encoder.given} == expected
    assert WordsSearch(snapshot).search(["kitchen"], 9).ids.max() == -1
