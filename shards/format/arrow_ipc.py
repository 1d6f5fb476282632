"""The record batches of an index, as views of the bytes of an Arrow file that is not trusted.

Method: an Arrow file is a magic word, a stream of messages and a footer that says where they are
(Arrow columnar format, "IPC File Format"). The stream is read, the footer is not: it could lead
anywhere. A record batch with compressed buffers is refused before it is opened, since what it
would unpack to is stated by the file alone; our indexes are never compressed.
Cost: 0.1 ms a file. Limits: columns are checked by those who use them.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import pyarrow as pa

from xtrove.core import DamagedData

INDEX_SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("query_group", pa.string(), nullable=False),
        pa.field("quality", pa.int64(), nullable=False),
        pa.field("license_class", pa.string(), nullable=False),
        pa.field("code_sha256", pa.string(), nullable=False),
    ]
)
_MAGIC: Final = b"ARROW1"
_HEADER, _COMPRESSION = 2, 3
"""The slot of a message's header in its table, and that of a record batch's compression."""


def index_batches(data: pa.Buffer, name: str) -> list[pa.RecordBatch]:
    """The batches of an index; `DamagedData`, named by `name`, where it is none.

    Arrow's own errors are raised where a message is damaged.
    """
    if data.size < 16 or bytes(data[:6]) != _MAGIC or bytes(data[data.size - 6 :]) != _MAGIC:
        raise DamagedData(f"{name} is no readable Arrow file: its first or last bytes are wrong")
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(data.slice(8)))
    schema, batches = None, []
    while (message := _next(reader)) is not None:
        if schema is None:
            schema = pa.ipc.read_schema(message)
            if not schema.equals(INDEX_SCHEMA):
                raise DamagedData(f"{name} has another schema than an index")
            continue
        if message.type != "record batch":
            raise DamagedData(f"{name} holds a {message.type}, which no index does")
        if _compressed(message.metadata.to_pybytes()):
            raise DamagedData(f"{name} is compressed, which no index is")
        batches.append(pa.ipc.read_record_batch(message, schema))
    if schema is None:
        raise DamagedData(f"{name} has no schema")
    return batches


def _next(reader: Any) -> Any:
    try:
        return reader.read_next_message()
    except StopIteration:
        return None


def _compressed(message: bytes) -> bool:
    """Whether a record batch's message states a compression; True where it cannot be told."""
    try:
        (root,) = struct.unpack_from("<I", message, 0)
        header = _slot(message, root, _HEADER)
        (inner,) = struct.unpack_from("<I", message, header)
        return not header or _slot(message, header + inner, _COMPRESSION) != 0
    except struct.error:
        return True


def _slot(message: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table lies; 0 where it has none (FlatBuffers internals)."""
    (back,) = struct.unpack_from("<i", message, table)
    slots = table - back
    (size,) = struct.unpack_from("<H", message, slots)
    vtable_entry = 4 + 2 * number
    if vtable_entry + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", message, slots + vtable_entry)
    return table + int(offset) if offset else 0
