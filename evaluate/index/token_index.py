"""Token vectors of a corpus on disk: written block by block, mapped, read in bounded memory.

Layout of an index folder: `meta.json`; `offsets.bin` (int64, documents + 1); `values.bin` (tokens x
dim, float16, or int8 with `scales.bin`, one float32 a vector: its largest component / 127). All
little-endian, row by row. A folder is written under a temporary name, synced and renamed, so that
one with its final name is whole; sizes are checked against `meta.json` when it is opened. The
writer holds a lock on the temporary folder, so that what a killed one left can be told and removed.
Cost: 2 bytes (int8: 1 and 4 a vector) a component: 26 or 13 kB a function of 100 tokens at dim 128.
Building holds one block of `BLOCK` documents; reading one block of `ELEMENTS` in float32, and the
system's file cache, which counts as resident and is given back under pressure.
Limits: rounding moves a similarity of unit vectors by at most 0.0005 (float16) and sqrt(dim) / 254
times the largest component (int8, about 0.001 in practice); bytes that changed on the disk without
a change of size are not noticed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from evaluate.index.mapped_arrays import mapped
from xtrove.core import DamagedData, new_folder

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from train.model import TokenVectors
    from train.scores import PackedTokens

Precision = Literal["fp16", "int8"]
FORMAT: Final = "xtrove-tokens-1"
BLOCK: Final = 512
"""Documents that are encoded together: ten seconds of a small encoder on a CPU."""
ELEMENTS: Final = 1 << 22
"""Components that are searched together: 16 MiB in float32."""
META: Final = "meta.json"
_MAX_META_BYTES: Final = 1 << 16
_MAX_DIM: Final = 1 << 14
"""A folder without a lock that is younger may be one whose lock is being taken."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenIndex:
    """An index that is mapped into memory."""

    values: NDArray[np.float16] | NDArray[np.int8]
    """Shape (tokens, dim)."""
    scales: NDArray[np.float32] | None
    """Shape (tokens,); None for float16."""
    offsets: NDArray[np.int64]
    """Shape (documents + 1,)."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def tokens(self) -> int:
        """Token vectors of all documents."""
        return len(self.values)

    @property
    def bytes(self) -> int:
        """Size on disk."""
        scales = 0 if self.scales is None else self.scales.nbytes
        return int(self.values.nbytes + scales + self.offsets.nbytes)

    @classmethod
    def open(cls, folder: Path) -> TokenIndex:
        """Maps an index; `DamagedData` where the folder is none, or not whole."""
        meta = read_meta(folder)
        tokens = meta.tokens
        kind = "<f2" if meta.precision == "fp16" else "i1"
        offsets = _mapped(folder / "offsets.bin", "<i8", (meta.documents + 1,))
        if offsets[0] != 0 or offsets[-1] != tokens or (np.diff(offsets) < 0).any():
            raise DamagedData(f"{folder}: the offsets do not fit {tokens} tokens")
        scales = None
        if meta.precision == "int8":
            scales = _mapped(folder / "scales.bin", "<f4", (tokens,))
        values = _mapped(folder / "values.bin", kind, (tokens, meta.dim))
        return cls(values=values, scales=scales, offsets=offsets)

    def blocks(self, tokens: int | None = None) -> Iterator[range]:
        """Runs of documents with at most `tokens` vectors together, at least one document each.

        None takes as many as have `ELEMENTS` components.
        """
        if tokens is None:
            tokens = max(1, ELEMENTS // max(1, self.values.shape[1]))
        start = 0
        while start < len(self):
            limit = int(self.offsets[start]) + tokens
            stop = int(np.searchsorted(self.offsets, limit, side="right")) - 1
            stop = max(start + 1, min(stop, len(self)))
            yield range(start, stop)
            start = stop

    def vectors(self, first: int, last: int, device: torch.device) -> torch.Tensor:
        """Token vectors `first` to `last` (exclusive) in float32 on `device`: (tokens, dim)."""
        import torch

        # Copies: torch takes no read-only memory, and none of it may stay mapped on a device.
        vectors = torch.from_numpy(np.array(self.values[first:last])).to(device).float()
        if self.scales is not None:
            scales = torch.from_numpy(np.array(self.scales[first:last]))
            vectors *= scales.to(device).unsqueeze(1)
        return vectors

    def packed(self, documents: range, device: torch.device) -> PackedTokens:
        """The documents of a run, for scoring."""
        import torch

        from train.scores import PackedTokens

        bounds = self.offsets[documents.start : documents.stop + 1]
        owners = np.repeat(np.arange(len(documents)), np.diff(bounds))
        return PackedTokens(
            values=self.vectors(int(bounds[0]), int(bounds[-1]), device),
            owners=torch.from_numpy(owners).to(device),
            count=len(documents),
        )

    def some(self, documents: Sequence[int], device: torch.device) -> PackedTokens:
        """Any documents, in the order given."""
        import torch

        from train.scores import PackedTokens

        bounds = [
            (int(self.offsets[document]), int(self.offsets[document + 1])) for document in documents
        ]
        parts = [self.vectors(first, last, device) for first, last in bounds]
        lengths = torch.tensor([last - first for first, last in bounds])
        return PackedTokens(
            values=torch.cat(parts) if parts else torch.zeros(0, self.values.shape[1]).to(device),
            owners=torch.repeat_interleave(torch.arange(len(parts)), lengths).to(device),
            count=len(parts),
        )


def build_index(
    folder: Path,
    texts: Sequence[str],
    encode: Callable[[Sequence[str]], TokenVectors],
    *,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> TokenIndex:
    """Encodes the texts into `folder`, which must not stand yet unless another process made it."""
    with new_folder(folder, existing="keep") as draft:
        write_index(draft, texts, encode, precision=precision, progress=progress)
    return TokenIndex.open(folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class Meta:
    """What `meta.json` says."""

    precision: Precision
    dim: int
    documents: int
    tokens: int

    def as_bytes(self) -> bytes:
        """The file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True).encode()


def read_meta(folder: Path) -> Meta:
    """What `meta.json` says, checked; `DamagedData` where it is not ours."""
    path = folder / META
    try:
        if path.stat().st_size > _MAX_META_BYTES:
            raise DamagedData(f"{path} is too large to be ours")
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedData(f"{folder} is not an index ({type(error).__name__})") from error
    numbers = ("dim", "documents", "tokens")
    if (
        not isinstance(meta, dict)
        or meta.get("format") != FORMAT
        or meta.get("precision") not in ("fp16", "int8")
        or any(type(meta.get(name)) is not int or meta[name] < 0 for name in numbers)
        or meta["dim"] > _MAX_DIM
    ):
        raise DamagedData(f"{path} does not describe an index of this version")
    return Meta(precision=meta["precision"], **{name: meta[name] for name in numbers})


def quantize(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 components and the scale of each row; a row of zeros has scale 0."""
    scales = np.abs(values).max(axis=1, initial=0.0).astype(np.float32) / np.float32(127)
    safe = np.where(scales > 0, scales, 1).astype(np.float32)
    return np.rint(values / safe[:, None]).astype(np.int8), scales


def write_index(
    folder: Path,
    texts: Sequence[str],
    encode: Callable[[Sequence[str]], TokenVectors],
    *,
    precision: Precision = "fp16",
    progress: Progress | None = None,
) -> None:
    """Writes the files of an index into a folder that is there and not yet in its place."""
    lengths: list[NDArray[np.int64]] = []
    dim = 0
    with (folder / "values.bin").open("wb") as values, (folder / "scales.bin").open("wb") as side:
        for start in range(0, len(texts), BLOCK):
            vectors = encode(texts[start : start + BLOCK])
            dim = vectors.values.shape[1]
            lengths.append(np.diff(vectors.offsets))
            if precision == "int8":
                small, scales = quantize(vectors.values)
                values.write(small.tobytes())
                side.write(scales.astype("<f4").tobytes())
            else:
                values.write(vectors.values.astype("<f2").tobytes())
            if progress is not None:
                progress(min(start + BLOCK, len(texts)), len(texts))
    if precision != "int8":
        (folder / "scales.bin").unlink()
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), *lengths]).cumsum().astype("<i8")
    meta = Meta(precision=precision, dim=dim, documents=len(texts), tokens=int(offsets[-1]))
    (folder / "offsets.bin").write_bytes(offsets.tobytes())
    (folder / META).write_bytes(meta.as_bytes())


def _mapped(path: Path, kind: str, shape: tuple[int, ...]) -> Any:
    try:
        return mapped(path, kind, shape)
    except OSError as error:
        raise DamagedData(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DamagedData(f"{error}: delete the folder") from error
