"""Files and folders that appear whole or not at all: the only place that makes anything durable.

Method: what is written has a unique temporary name on the same file system (`.<name>.<32 hex>`)
until it is whole, then it is renamed. Durable, which is the default, means that it is still there
and whole after a power cut once the call has returned: its bytes are fsynced before the rename,
and after it the folder that holds the name, with those above it that had to be made.
`durable=False` is for what is verified when it is read, or what a power cut may cost: entries of
caches that have a digest. On any error the temporary is removed and the final name is left as it
was; a kill leaves the temporary, for whoever owns the folder to sweep.

Cost: two fsyncs a file; a `Sink` adds one SHA-256 pass (about 1.5 GB/s with SHA extensions,
0.4 GB/s without). Limits: replacing a folder takes two renames, between which it is absent.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """A file that was written."""

    path: str
    """Relative to the dataset (or to the work folder for what is not published), with `/`."""
    sha256: str
    bytes: int


class Sink(io.RawIOBase):
    """A write-only stream to a temporary file that remembers length and SHA-256."""

    def __init__(self, *, stream: BinaryIO, temporary: Path, base: Path, relative: str) -> None:
        self._stream = stream
        self._temporary = temporary
        self._base = base
        self._relative = relative
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._settled = False

    @classmethod
    def create(cls, base: Path, relative: str, tmp: Path) -> Sink:
        """Opens a unique name in `tmp`, which must be on the file system of `base`."""
        temporary = _temporary(base / relative, tmp, durable=True)
        stream = temporary.open("xb")
        return cls(stream=stream, temporary=temporary, base=base, relative=relative)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        if self._settled:
            # Writers that die on a full disk flush once more from their finalisers.
            return len(view)
        self._stream.write(view)
        self._digest.update(view)
        self._bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self._bytes

    def flush(self) -> None:
        if not self._settled:
            self._stream.flush()

    def close(self) -> None:
        """Does nothing: libraries close what they are given, only commit or discard settle it."""

    def commit(self) -> FileFacts:
        """Makes the file durable and puts it in place."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._settled = True
        _rename(self._temporary, self._base / self._relative, durable=True)
        return FileFacts(path=self._relative, sha256=self._digest.hexdigest(), bytes=self._bytes)

    def discard(self) -> None:
        """Removes the temporary; nothing happens after a commit."""
        if self._settled:
            return
        self._settled = True
        try:
            self._stream.close()
        except OSError:
            # Closing flushes, and flushing fails again on a full disk: the data is unwanted.
            pass
        finally:
            self._temporary.unlink(missing_ok=True)


def sync_path(path: Path) -> None:
    """Makes the bytes of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def staged(base: Path, relative: str, tmp: Path) -> Iterator[Sink]:
    """A sink that is discarded at the end unless it was committed."""
    sink = Sink.create(base, relative, tmp)
    try:
        yield sink
    finally:
        sink.discard()


def write_bytes(base: Path, relative: str, data: bytes, tmp: Path) -> FileFacts:
    """Writes a published file whole, durable, with the facts that a manifest needs."""
    with staged(base, relative, tmp) as sink:
        sink.write(data)
        return sink.commit()


def file_sha256(path: Path, chunk: int = 1 << 20) -> tuple[str, int]:
    """SHA-256 (hex) and length of a file, streamed."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while data := stream.read(chunk):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size


def write_file(
    path: Path, data: ReadableBuffer, *, tmp: Path | None = None, durable: bool = True
) -> None:
    """Writes one file whole, replacing what has its name; the folders above it are made.

    `tmp` is a folder for the temporary name on the same file system; None for that of the file.
    """
    temporary = _temporary(path, tmp, durable=durable)
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        _rename(temporary, path, durable=durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Writes one JSON file for people and programs, keys sorted, whole."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_file(path, text.encode(), durable=durable)


@contextmanager
def new_folder(
    final: Path,
    *,
    tmp: Path | None = None,
    existing: Literal["refuse", "replace", "keep"] = "refuse",
    durable: bool = True,
) -> Iterator[Path]:
    """A temporary folder to fill, which gets its name, files and all, when the block ends well.

    Where the name stands by then: `refuse` raises `OSError` (an empty folder gives way),
    `replace` removes what stood there, `keep` leaves it, as another process made the same.
    """
    draft = _temporary(final, tmp, durable=durable)
    draft.mkdir()
    try:
        yield draft
        if durable:
            _sync_tree(draft)
        old = draft.with_name(f"{draft.name}.old")
        if existing == "replace":
            with suppress(FileNotFoundError):
                final.rename(old)
        try:
            _rename(draft, final, durable=durable)
        except OSError:
            if old.exists():
                old.rename(final)
            if existing != "keep" or not final.is_dir():
                raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _temporary(final: Path, tmp: Path | None, *, durable: bool) -> Path:
    if tmp is None:
        _make(final.parent, durable=durable)
    else:
        # The folder of the file is made when there is a whole file to put there.
        _make(tmp, durable=False)
    return (tmp or final.parent) / f".{final.name}.{uuid.uuid4().hex}"


def _make(folder: Path, *, durable: bool) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if durable:
        for path in missing:
            sync_path(path.parent)


def _rename(temporary: Path, final: Path, *, durable: bool) -> None:
    _make(final.parent, durable=durable)
    temporary.replace(final)
    if durable:
        sync_path(final.parent)


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in names)):
            if not path.is_symlink():
                sync_path(path)
