"""Reading a shard's tar as strictly as it was written.

Not tarfile's reader: that one skips damage, follows extensions and accepts any member. Here
every block is accounted for: header, payload, zero padding, end mark, nothing behind it.
Memory: one member, at most 64 MiB.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from shards.format import BLOCK, MAX_PAYLOAD_BYTES, archive_bytes, tar_size
from shards.write import MODE, OWNER
from xtrove.core import DamagedData

_NAME: Final = re.compile(r"([0-9a-f]{32})\.json")
_ZEROS: Final = bytes(BLOCK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One member with its raw header."""

    key: str
    offset: int
    """Of the payload."""
    payload: bytes
    plain: bool
    """Whether owner, mode and time are those of `shards.write.shard`."""


def read_members(stream: BinaryIO) -> Iterator[Member]:
    """The members in order. `DamagedData` at the first block that is not as it should be."""
    offset = 0
    while True:
        header = stream.read(BLOCK)
        if len(header) != BLOCK:
            raise DamagedData(f"the tar ends at offset {offset} without an end mark")
        if header == _ZEROS:
            _check_end(stream, offset)
            return
        info = _parse(header, offset)
        key, size = info.name.removesuffix(".json"), info.size
        payload = stream.read(size)
        padding = stream.read(tar_size(size) - BLOCK - size)
        if len(payload) != size or len(padding) != tar_size(size) - BLOCK - size:
            raise DamagedData(f"{key}: the tar ends inside its payload at offset {offset + BLOCK}")
        if padding.strip(b"\0"):
            raise DamagedData(f"{key}: the padding behind its payload is not zero")
        yield Member(key=key, offset=offset + BLOCK, payload=payload, plain=_is_plain(info))
        offset += tar_size(size)


def _parse(header: bytes, offset: int) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise DamagedData(f"the header at offset {offset} is damaged: {error}") from error
    match = _NAME.fullmatch(info.name)
    if match is None or info.type != tarfile.REGTYPE:
        raise DamagedData(
            f"member {info.name[:200]!r} (type {info.type!r}) at offset {offset} is no "
            "regular <id>.json"
        )
    if not 0 <= info.size <= MAX_PAYLOAD_BYTES:
        raise DamagedData(f"{match[1]}: size {info.size} at offset {offset} is out of range")
    return info


def _is_plain(info: tarfile.TarInfo) -> bool:
    owner = (info.uid, info.gid, info.uname, info.gname)
    return owner == (0, 0, OWNER, OWNER) and info.mode == MODE and info.mtime == 0


def _check_end(stream: BinaryIO, offset: int) -> None:
    left = archive_bytes(offset) - offset - BLOCK
    rest = stream.read(left + 1)
    if len(rest) != left or rest.strip(b"\0"):
        raise DamagedData(
            f"{left} zero bytes should follow the end mark at offset {offset} and nothing more"
        )
