"""Walking a hostile folder: links, pipes, sockets, unreadable things, odd names."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files.tree_walk import (
    INVALID_PATH,
    NOT_A_FILE,
    SYMLINK,
    TOO_LARGE,
    UNREADABLE,
    excluded,
    open_regular,
    read_capped,
    walk,
)
from ingest.languages import LANGUAGES

ALL = frozenset(LANGUAGES)


def put(root: Path, *names: str, text: str = "x = 1\n") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(root: Path, exclude: tuple[str, ...] = ()) -> dict[str, str]:
    return {file.name: file.problem for file in walk(root, languages=ALL, exclude=exclude).files}


def test_takes_wanted_languages_and_leaves_what_is_never_source(tmp_path: Path) -> None:
    put(tmp_path, "a.py", "b/c.ts", "b/README.md", "b/x.pyi", "z.go")
    put(tmp_path, "node_modules/m/i.js", ".hidden/h.py", "__pycache__/p.py", "env/bin/v.py")
    put(tmp_path, "env/pyvenv.cfg", ".git/hooks/h.py")
    assert found(tmp_path) == {"a.py": "", "b/c.ts": "", "z.go": ""}
    assert [file.name for file in walk(tmp_path, languages=frozenset({"go"})).files] == ["z.go"]
    assert walk(tmp_path, languages=ALL).checkouts == ("",)


def test_links_are_counted_but_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    put(outside, "secret.py")
    put(root, "a.py", "sub/b.py")
    (root / "loop").symlink_to(root)
    (root / "sub/up").symlink_to("..")
    (root / "away").symlink_to(outside)
    (root / "stolen.py").symlink_to(outside / "secret.py")
    (root / "dangling.py").symlink_to("nowhere")
    (root / "folder.js").symlink_to(outside)
    assert found(root) == {
        "a.py": "",
        "sub/b.py": "",
        "stolen.py": SYMLINK,
        "dangling.py": SYMLINK,
    }


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s.go"))
    server.close()
    assert found(tmp_path) == {"pipe.py": NOT_A_FILE, "s.go": NOT_A_FILE}
    with pytest.raises(ValueError, match="not a regular file"):
        open_regular(str(tmp_path / "pipe.py"))
    assert read_capped("/dev/zero", 10) is None
    assert read_capped(str(tmp_path / "pipe.py"), 10) is None


def test_size_and_names(tmp_path: Path) -> None:
    put(tmp_path, "full.py", text="x" * MAX_FILE_BYTES)
    put(tmp_path, "over.py", text="x" * (MAX_FILE_BYTES + 1))
    put(tmp_path, "new\nline.py")
    Path(os.fsdecode(os.fsencode(str(tmp_path)) + b"/caf\xe9.py")).write_text("x")
    put(tmp_path, "caf\u00e9 ok.py")
    assert found(tmp_path) == {
        "caf\u00e9 ok.py": "",
        "caf\\udce9.py": INVALID_PATH,
        "full.py": "",
        "new\\nline.py": INVALID_PATH,
        "over.py": TOO_LARGE,
    }


def test_reading_is_capped_and_follows_no_link(tmp_path: Path) -> None:
    put(tmp_path, "a.py", text="12345")
    (tmp_path / "l.py").symlink_to("a.py")
    assert read_capped(str(tmp_path / "a.py"), 5) == b"12345"
    assert read_capped(str(tmp_path / "a.py"), 4) is None
    assert read_capped(str(tmp_path / "l.py"), 5) is None
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(str(tmp_path / "l.py"))


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("tests/a/b.py", "tests", True),
        ("tests/a/b.py", "tests/", True),
        ("tests/a/b.py", "tests/**", True),
        ("a/tests/b.py", "tests", False),
        ("a/tests/b.py", "**/tests", True),
        ("b_pb2.py", "**/*_pb2.py", True),
        ("a/b_pb2.py", "*_pb2.py", True),
        ("ab.py", "a", False),
    ],
)
def test_excluded(name: str, pattern: str, expected: bool) -> None:
    assert excluded(name, [pattern]) is expected


def test_excluded_folders_are_not_entered(tmp_path: Path) -> None:
    put(tmp_path, "a.py", "gen/b.py", "gen/deep/c.py", "lib/gen/d.py")
    assert found(tmp_path, ("gen",)) == {"a.py": "", "lib/gen/d.py": ""}


CHILD = """
import json, os, sys
from ingest.sources.directory.source import DirectoryOptions, plan, read
from ingest.licenses.policy import LicensePolicy
policy = LicensePolicy()
# Everything that is loaded on first use, while its files may still be read.
policy.refusal(["MIT"])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
options = DirectoryOptions(path=sys.argv[1], declared_licenses=["MIT"])
listing = plan(options, "d", policy)
records = [r for s in listing.slices for r in read(options, "d", policy, s, "r")]
facts = [[getattr(r, "reason", "file"), getattr(r, "quarantined", "")] for r in records]
sys.stdout.write(json.dumps(facts))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop to a user without rights")
def test_what_another_user_may_not_read_is_counted_and_not_fatal() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, "a.py", "closed.py", "locked/b.py")
        root.chmod(0o755)
        (root / "closed.py").chmod(0)
        (root / "locked").chmod(0)
        project = str(Path(__file__).parents[3])
        done = subprocess.run(
            [sys.executable, "-c", CHILD, folder],
            cwd=project,
            env={"PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["file", ""],
        [UNREADABLE, "closed.py"],
        [UNREADABLE, "locked"],
    ]
