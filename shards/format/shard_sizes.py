"""Where one shard ends and the next begins.

`N = ceil(total / max_bytes)` shards a language and split. `total` and `max_bytes` count tar
bytes of the members: each has a 512-byte header and a payload padded to 512. The mark at the
end of every tar (two zero blocks, then padding to a record of 10,240 bytes) is not counted: it
belongs to no sample, and N would otherwise depend on itself. Samples are cut into contiguous
ranges of nearly equal bytes in id order. Hence a tar file is at most `max_bytes`, one sample
and 11,263 bytes of end mark. A sample that is alone larger than `max_bytes` is a shard of its
own, and the formula then holds for the runs between such samples.
Cost: a few passes over an int64 array; 10 million samples take about 0.1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shards.format.split import SplitOptions
from xtrove.core import parse_bytes

END_BLOCKS: Final = 1024
RECORD: Final = 10_240


class ShardOptions(BaseModel):
    """`shards` of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    max_bytes: Annotated[int, BeforeValidator(parse_bytes), Field(ge=1024, le=10**12)] = 256_000_000
    splits: SplitOptions = SplitOptions()


def tar_sizes(payloads: NDArray[np.int64]) -> NDArray[np.int64]:
    """`sample.tar_size` of an array of payload lengths."""
    return 512 + -(-payloads.astype(np.int64) // 512) * 512


def archive_bytes(member_bytes: int) -> int:
    """Size of a tar file whose members take this many bytes."""
    return -(-(member_bytes + END_BLOCKS) // RECORD) * RECORD


def plan_shards(
    ids: Sequence[str] | NDArray[np.str_] | NDArray[np.bytes_],
    sizes: NDArray[np.int64],
    max_bytes: int,
) -> list[tuple[int, int]]:
    """Half-open row ranges, one a shard, of samples that stand in id order.

    ids: strictly ascending, shape (n,); sizes: tar bytes a sample (`tar_sizes`), shape (n,).
    `ValueError` where the two do not fit, ids are not ascending or a size is not positive.
    """
    keys = np.asarray(ids)
    sizes = np.asarray(sizes, dtype=np.int64)
    if keys.shape != sizes.shape or sizes.ndim != 1:
        raise ValueError(f"{keys.shape} ids and {sizes.shape} sizes: one size an id is needed")
    if len(keys) > 1 and not bool(np.all(keys[:-1] < keys[1:])):
        row = int(np.argmin(keys[:-1] < keys[1:]))
        raise ValueError(f"ids must ascend: {keys[row]!r} comes before {keys[row + 1]!r}")
    return plan_ranges(sizes, max_bytes)


def plan_ranges(sizes: NDArray[np.int64], max_bytes: int) -> list[tuple[int, int]]:
    """`plan_shards` without the ids."""
    if max_bytes < 1:
        raise ValueError(f"max_bytes is {max_bytes}: at least 1 is needed")
    if len(sizes) and int(sizes.min()) < 1:
        raise ValueError(f"a sample of {int(sizes.min())} bytes: tar sizes are positive")
    ranges: list[tuple[int, int]] = []
    start = 0
    for giant in [*np.flatnonzero(sizes > max_bytes).tolist(), len(sizes)]:
        edges = [start + edge for edge in _cut(sizes[start:giant], max_bytes)]
        ranges.extend(zip(edges, edges[1:], strict=False))
        if giant < len(sizes):
            ranges.append((giant, giant + 1))
        start = giant + 1
    return ranges


def _cut(sizes: NDArray[np.int64], max_bytes: int) -> list[int]:
    """Edges of ceil(total / max_bytes) non-empty ranges; no size is above max_bytes."""
    if not len(sizes):
        return []
    ends = np.cumsum(sizes)
    total = int(ends[-1])
    count = -(-total // max_bytes)
    # A range takes the samples that start in its equal part of the bytes: it is longer than
    # that part by less than its last sample.
    order = np.arange(1, count, dtype=np.int64)
    marks = np.array([int(i) * total // count for i in order], dtype=np.int64)
    edges = np.searchsorted(ends - sizes, marks, side="left").astype(np.int64)
    # Large samples can leave a part without a start: every range keeps at least one sample.
    edges = np.maximum.accumulate(edges - order) + order
    edges = np.maximum(edges, order)
    edges = np.minimum(edges, len(sizes) - (count - order))
    return [0, *edges.tolist(), len(sizes)]
