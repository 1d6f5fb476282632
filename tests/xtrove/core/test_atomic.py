"""Files and folders that appear whole or not at all, after kills and on full disks."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xtrove.core import new_folder, staged, write_file, write_json

WRITERS = {
    "file": "write_file(base / 'x', DATA)",
    "cache": "write_file(base / 'x', DATA, durable=False)",
    "sink": """
with staged(base, 'x', base / 'tmp') as sink:
    sink.write(DATA)
    sink.commit()
""",
    "folder": """
with new_folder(base / 'folder', existing='replace') as folder:
    (folder / 'x').write_bytes(DATA)
""",
}
CHILD = """
import os, resource, signal, sys
from pathlib import Path
from xtrove.core import new_folder, staged, write_file
base, DATA = Path(sys.argv[1]), b'new' * 10_000
"""
KILL = """
def kill(event, arguments):
    if event == 'os.rename':
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
"""
FULL = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def _run(base: Path, fault: str, writer: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD + fault + WRITERS[writer], str(base)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def _old(base: Path, writer: str) -> Path:
    path = base / ("folder/x" if writer == "folder" else "x")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"old")
    return path


@pytest.mark.parametrize("writer", WRITERS)
def test_a_kill_before_the_rename_leaves_what_was_there(tmp_path: Path, writer: str) -> None:
    path = _old(tmp_path, writer)
    assert _run(tmp_path, KILL, writer).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    left = [one for one in tmp_path.rglob(".*") if one.name.startswith((".x.", ".folder."))]
    assert len(left) == 1
    assert _run(tmp_path, "", writer).returncode == 0
    assert path.read_bytes() == b"new" * 10_000


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_leaves_what_was_there_and_no_temporary(tmp_path: Path, writer: str) -> None:
    path = _old(tmp_path, writer)
    done = _run(tmp_path, FULL, writer)
    assert "OSError: [Errno 27]" in done.stderr, done.stderr
    assert path.read_bytes() == b"old"
    assert not list(tmp_path.rglob(".*"))


def test_bytes_are_synced_before_the_name_and_names_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    real, final = os.fsync, tmp_path / "made" / "deep" / "file"

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((str(path.relative_to(tmp_path)), final.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(final, b"data")
    parents, draft, folder = synced[:-2], synced[-2], synced[-1]
    assert {name for name, _ in parents} == {".", "made"}
    assert draft[0].startswith("made/deep/.file.") and not draft[1]
    assert folder == ("made/deep", True)

    synced.clear()
    write_file(tmp_path / "cache" / "file", b"data", durable=False)
    assert synced == []

    with new_folder(tmp_path / "folder") as inside:
        (inside / "sub").mkdir()
        (inside / "sub" / "one").write_bytes(b"1")
    names = [name.split("/", 1)[1:] for name, _ in synced[:-1]]
    assert sorted(names) == [[], ["sub"], ["sub/one"]] and synced[-1][0] == "."


def test_what_stands_already(tmp_path: Path) -> None:
    final = tmp_path / "folder"

    def write(existing: str, text: str) -> None:
        with new_folder(final, existing=existing) as folder:  # type: ignore[arg-type]
            (folder / "x").write_text(text)

    final.mkdir()
    write("refuse", "1")
    with pytest.raises(OSError, match="not empty"):
        write("refuse", "2")
    write("keep", "3")
    assert (final / "x").read_text() == "1"
    write("replace", "4")
    assert (final / "x").read_text() == "4"
    with pytest.raises(ZeroDivisionError), new_folder(final, existing="replace"):
        raise ZeroDivisionError
    assert (final / "x").read_text() == "4"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_json_is_the_same_for_the_same_value(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": "\udc80ä", "a": [1]})
    write_json(tmp_path / "b", {"a": [1], "b": "\udc80ä"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text()) == {"a": [1], "b": "\udc80ä"}


def test_a_sink_after_a_failed_write_is_silent(tmp_path: Path) -> None:
    """Writers that die on a full disk flush once more from their finalisers."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"), staged(tmp_path, "x", tmp_path) as sink:
            sink.write(b"x" * 100_000)
        assert sink.write(b"more") == 4
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
