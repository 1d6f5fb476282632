"""Columns of plain values to Arrow tables, without `pa.array`.

Method: text becomes one buffer and its offsets, numbers become NumPy arrays, and Arrow takes both
as they are. `pa.array` gives the same arrays, but imports pandas, where that is installed, to see
whether it was given a Series: 0.2 s and 30 MB in every worker.
Cost: about a third of the time of `pa.array` for text. Limits: the types that our schemas have,
and no nulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

_MAX_BYTES: Final = (1 << 31) - 1


def table(columns: Mapping[str, Sequence[Any]], schema: Any) -> Any:
    """A table of one chunk from columns of equal length; Arrow's `pa.table` of the same.

    `OverflowError` on 2 GiB of text in a column, or a number that its type cannot hold;
    `UnicodeEncodeError` on lone surrogates; `TypeError` on a type that no schema of ours has.
    """
    return pa.Table.from_arrays([array(columns[f.name], f.type) for f in schema], schema=schema)


def array(values: Sequence[Any], kind: Any) -> Any:
    """The Arrow array of this type of text, numbers, or lists of either."""
    if pa.types.is_string(kind):
        encoded = [value.encode("utf-8") for value in values]
        return _ragged(kind, encoded, pa.py_buffer(b"".join(encoded)))
    if pa.types.is_list(kind):
        flat = array([item for value in values for item in value], kind.value_type)
        return pa.ListArray.from_buffers(
            kind, len(values), [None, pa.py_buffer(_offsets(values))], children=[flat]
        )
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = np.array(values, dtype=kind.to_pandas_dtype())
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(numbers)])
    raise TypeError(f"no column of type {kind} is made here: use pyarrow.array for it")


def _ragged(kind: Any, values: Sequence[bytes], data: Any) -> Any:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(_offsets(values)), data])


def _offsets(values: Sequence[Sequence[Any]]) -> np.ndarray:
    """Where each value starts, and the end of the last; int32, as Arrow has it."""
    ends = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, values), dtype=np.int64, count=len(values)), out=ends[1:])
    if ends[-1] > _MAX_BYTES:
        raise OverflowError(f"{ends[-1]} bytes or items in one column, at most {_MAX_BYTES}")
    return ends.astype(np.int32)
