"""Places that are neither local folders of tables nor the Hub: fsspec, HTTP, links, opt-outs."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec  # type: ignore[import-untyped]
import pytest

from ingest.errors import ChangedInput, SourceError, TransientFault
from ingest.licenses.policy import LicensePolicy
from ingest.records import Part, Skip, SourceFile
from ingest.sources.directory.source import DirectoryOptions
from ingest.sources.registry import plan, read
from ingest.sources.the_stack.source import TheStackOptions
from ingest.storage.hub import parse
from ingest.storage.local import absolute
from ingest.storage.locate import digested, open_entry, open_part, pin, revision_of
from ingest.transport.rate_limit import ReadLimits
from ingest.transport.traffic import meter
from tests.ingest.stack_tables import row, write

FAST = ReadLimits(requests_per_second=1000, timeout_s=1, patience_s=3)


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.pipe({"/m/a/x.txt": b"0123456789", "/m/a/b/y.txt": b"yy", "/m/z": b"z"})
    yield system
    system.rm("/m", recursive=True)


def test_any_file_system_is_a_place(memory: fsspec.AbstractFileSystem) -> None:
    place = pin("memory://m", FAST)
    assert [one.name for one in place.files()] == ["a/b/y.txt", "a/x.txt", "z"]
    assert [one.name for one in place.files("a", recursive=False)] == ["a/x.txt"]
    assert (place.folders(), place.folders("a"), place.folders("none")) == (("a",), ("b",), ())
    assert place.files("none") == ()
    entries = digested(place.files(), limits=FAST)
    with open_entry(entries[1], FAST) as file:
        assert (file.seek(-3, 2), file.read(2), file.read()) == (7, b"78", b"9")
    (single,) = digested(pin("memory://m/a/x.txt", FAST).files())
    assert (single.name, single.size, single.uri) == ("x.txt", 10, "memory://m/a/x.txt")
    before = revision_of(place, entries)
    memory.pipe("/m/a/x.txt", b"0123456780")
    assert revision_of(place, digested(place.files(), limits=FAST)) != before
    with pytest.raises(ChangedInput, match=r"a/x\.txt"):
        open_entry(entries[1], FAST)
    memory.rm("/m/z")
    with pytest.raises(ChangedInput, match="z"):
        open_entry(entries[2], FAST)


def test_what_cannot_be_reached_says_why(memory: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(SourceError, match="nothing is there"):
        pin("memory://none", FAST)
    with pytest.raises(SourceError, match="Protocol not known: floppy"):
        pin("floppy://a", FAST)
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        pin("/does/not/exist")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server that knows no ranges."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_stack_over_plain_http(web: str, tmp_path: Path) -> None:
    write(tmp_path / "python/train-0.parquet", [row(i) for i in range(9)])
    options = TheStackOptions(path=f"{web}/python/train-0.parquet")
    before = meter().snapshot()
    listing = plan(options, "s", LicensePolicy(), limits=FAST)
    records = list(
        read(options, "s", LicensePolicy(), listing.slices[0], listing.revision, limits=FAST)
    )
    assert [record.path for record in records if isinstance(record, SourceFile)] == [
        f"src/f {i}.py" for i in range(9)
    ]
    assert {record.language for record in records} == {"python"}
    asked = meter().since(before)[web]
    assert 6 <= asked.requests <= 16
    write(tmp_path / "python/train-0.parquet", [row(i) for i in range(8)])
    with pytest.raises(ChangedInput):
        list(read(options, "s", LicensePolicy(), listing.slices[0], listing.revision, limits=FAST))


def test_a_server_that_is_gone_is_a_passing_fault() -> None:
    limits = ReadLimits(requests_per_second=1000, timeout_s=1, patience_s=0.4)
    part = Part(path="http://127.0.0.1:9/x", name="x", digest="", size=1, start=0, stop=1)
    with pytest.raises(TransientFault, match=r"127\.0\.0\.1:9"):
        open_part(part, limits)


def test_local_places_follow_no_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "in/.hidden").mkdir(parents=True)
    (root / "in/a.txt").write_bytes(b"a")
    (root / "in/.hidden/h.txt").write_bytes(b"h")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/s.txt").write_bytes(b"s")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "in/link.txt").symlink_to(tmp_path / "secret/s.txt")
    os.mkfifo(root / "in/pipe")
    place = pin(str(root))
    result = {one.name: one.problem for one in digested(place.files())}
    assert result == {"in/a.txt": "", "in/link.txt": "symlink", "in/pipe": "not_a_file"}
    assert place.folders() == ("in",)
    for folder in ("out", "../secret", "in/../../secret", "/etc", "none"):
        assert place.files(folder) == ()
        assert place.folders(folder) == ()


def test_paths_of_the_config(tmp_path: Path) -> None:
    for uri in ("hf://datasets/a/b@main/c", "s3://bucket/x", "https://host/x"):
        assert absolute(uri, tmp_path) == uri
        options = TheStackOptions(path=uri).resolved(tmp_path)
        assert isinstance(options, TheStackOptions)
        assert options.path == uri
    address = parse("hf://datasets/a/b@refs%2Fpr%2F3/data/c++")
    assert (address.repo, address.revision, address.path) == ("a/b", "refs/pr/3", "data/c++")
    assert parse(str(address)) == address
    assert parse("hf://datasets/a/b@refs/convert/parquet/x").path == "x"
    assert parse("hf://datasets/a/b/x@y").revision == ""


def test_lists_of_opt_outs(tmp_path: Path) -> None:
    for repo in ("kept", "gone"):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / f"code/{repo}.py").write_text(f"def {repo}(): pass\n", "utf-8")
    (tmp_path / "code/LICENSE").write_text("SPDX-License-Identifier: MIT\n", "utf-8")
    (tmp_path / "list.txt").write_text("# removed\n\nSomeone  # owner\nme/CODE\n", "utf-8")
    words = {"path": "code", "repo": "me/code", "opt_out_files": ["list.txt"], "opt_out": ["b/c"]}
    options = DirectoryOptions.model_validate(words).resolved(tmp_path)
    assert (options.opt_out, options.opt_out_files) == (("b/c", "me/code", "someone"), ())
    policy = LicensePolicy(unknown="keep")
    listing = plan(options, "s", policy)
    records = list(read(options, "s", policy, listing.slices[0], listing.revision))
    assert [(record.reason, record.detail) for record in records if isinstance(record, Skip)] == [
        ("opted_out", "me/code")
    ] * 2
    open_again = options.model_copy(update={"opt_out": ("me/other",)})
    other = plan(open_again, "s", policy)
    assert other.slices[0].digest != listing.slices[0].digest
    result = list(read(open_again, "s", policy, other.slices[0], other.revision))
    assert [type(one) for one in result] == [SourceFile] * 2


@pytest.mark.parametrize("text", [b"a/b/c\n", b"a b\n", b"\xff\xfe\n", None])
def test_a_list_of_opt_outs_that_is_none_stops_the_build(
    tmp_path: Path, text: bytes | None
) -> None:
    if text is not None:
        (tmp_path / "list.txt").write_bytes(text)
    options = DirectoryOptions(path=".", opt_out_files=("list.txt",))
    with pytest.raises(SourceError, match=r"list\.txt"):
        options.resolved(tmp_path)
