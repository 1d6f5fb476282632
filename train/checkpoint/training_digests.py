"""What a model was trained on: digests of the functions and the repositories.

Method: an Arrow file beside the weights, a row a digest (SHA-256, 32 bytes) with its kind: `code`
is the `code_sha256` of a function, `repo` the digest of a repository's lower-case name. Written
batch by batch from the reader; read into sorted arrays that are searched by bisection.

Cost: 33 bytes a function on disk, 32 in memory when read; writing holds one batch and the digests
of the repositories (about 100 bytes each). Limits: names of repositories can be guessed from their
digests; they are no secret, the attribution names them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from train.errors import ModelError
from xtrove.core import staged

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE_NAME = "trained_on.arrow"
BATCH = 65_536
CODE, REPO = 0, 1
WIDTH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedOn:
    """Sorted digests [n] of 32 bytes each."""

    code: NDArray[np.bytes_]
    repo: NDArray[np.bytes_]

    def saw_code(self, code_sha256: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each function (hex digest of its code) was trained on: [n]."""
        return _among(self.code, [_bytes_of(text) for text in code_sha256])

    def saw_repo(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each repository was trained on: [n]; "" was not."""
        seen = _among(self.repo, [repo_digest(name) for name in names])
        return seen & np.array([bool(name) for name in names], dtype=np.bool_)


def repo_digest(name: str) -> bytes:
    """SHA-256 of the lower-case name."""
    return hashlib.sha256(name.lower().encode("utf-8")).digest()


def write_trained_on(pairs: Iterable[tuple[str, str]], destination: Path) -> int:
    """Writes (code_sha256 in hex, repository) of every sample; returns how many functions.

    A function stands there as often as it comes. The file appears whole or not at all.
    """
    count = 0

    def batches() -> Iterator[tuple[int, Sequence[bytes]]]:
        nonlocal count
        codes: list[bytes] = []
        repos: set[bytes] = set()
        for code, repo in pairs:
            codes.append(_bytes_of(code))
            count += 1
            if repo:
                repos.add(repo_digest(repo))
            if len(codes) == BATCH:
                yield CODE, codes
                codes = []
        yield CODE, codes
        yield REPO, sorted(repos)

    _write(batches(), destination)
    return count


def merge_trained_on(models: Sequence[str | Path], destination: Path) -> bool:
    """Writes all digests of several models, each once; False, and no file, where none has any."""
    known = [digests for digests in map(trained_on, models) if digests is not None]
    if known:
        merged = (
            (CODE, np.unique(np.concatenate([digests.code for digests in known]))),
            (REPO, np.unique(np.concatenate([digests.repo for digests in known]))),
        )
        # numpy leaves zeros at the end out.
        _write(
            (
                (kind, [digests.ljust(WIDTH, b"\0") for digests in rows.tolist()])
                for kind, rows in merged
            ),
            destination,
        )
    return bool(known)


def _write(batches: Iterable[tuple[int, Sequence[bytes]]], destination: Path) -> None:
    import pyarrow as pa

    schema = pa.schema([("kind", pa.int8()), ("digest", pa.binary(WIDTH))])
    with staged(destination.parent, destination.name, destination.parent) as sink:
        with pa.ipc.new_file(sink, schema) as writer:
            for kind, digests in batches:
                kinds = pa.array(np.full(len(digests), kind, dtype=np.int8))
                column = pa.array(digests, pa.binary(WIDTH))
                writer.write_batch(pa.record_batch([kinds, column], schema=schema))
        sink.commit()


def trained_on(path: str | Path) -> TrainedOn | None:
    """The digests of a model's folder; None where it has none. `ModelError` where damaged."""
    import pyarrow as pa

    file = Path(path) / FILE_NAME
    if not file.is_file():
        return None
    try:
        with pa.memory_map(str(file)) as source:
            table = pa.ipc.open_file(source).read_all()
            kinds = table.column("kind").to_numpy()
            column = table.column("digest").combine_chunks()
            if column.type != pa.binary(WIDTH) or column.null_count:
                raise ValueError(f"digests are {column.type}")
            raw = b"".join(column.to_pylist())
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{file}: damaged ({error})", remedy="save the model again") from error
    digests = np.frombuffer(raw, dtype=f"S{WIDTH}")
    return TrainedOn(code=np.unique(digests[kinds == CODE]), repo=np.unique(digests[kinds == REPO]))


def _bytes_of(digest: str) -> bytes:
    try:
        raw = bytes.fromhex(digest)
    except ValueError as error:
        raise ValueError(f"code_sha256 {digest!r} is not hexadecimal") from error
    if len(raw) != WIDTH:
        raise ValueError(f"code_sha256 {digest!r} has {len(raw)} bytes, not {WIDTH}")
    return raw


def _among(known: NDArray[np.bytes_], digests: Sequence[bytes]) -> NDArray[np.bool_]:
    if not len(known) or not digests:
        return np.zeros(len(digests), dtype=np.bool_)
    array = np.array(digests, dtype=f"S{WIDTH}")
    at = np.minimum(np.searchsorted(known, array), len(known) - 1)
    return np.asarray(known[at] == array, dtype=np.bool_)
