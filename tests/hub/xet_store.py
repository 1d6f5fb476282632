"""What clients put into a local xet store, by SHA-256, and its bytes.

Method: the store's shards list each file with its hash, its segments and the SHA-256 that the
client stated; the bytes come back through `hf_xet` itself, so that an object exists for the
small Hub only if the client's upload can be downloaded.
Source: the shard format of https://huggingface.co/docs/xet (header and file section).
"""

from __future__ import annotations

import struct
from pathlib import Path

_ROW = 48
_VERIFIED, _STATED = 1 << 31, 1 << 30
_END = b"\xff" * 32


def listed(folder: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 -> hash and size of every file in the shards of a store."""
    result: dict[str, tuple[str, int]] = {}
    for shard in sorted(folder.rglob("shards/*.mdb")):
        data = shard.read_bytes()
        place = _ROW
        while data[place : place + 32] != _END:
            name = _hash(data[place : place + 32])
            flags, segments = struct.unpack_from("<II", data, place + 32)
            place += _ROW
            size = 0
            for _ in range(segments):
                size += struct.unpack_from("<I", data, place + 36)[0]
                place += _ROW
            place += _ROW * segments if flags & _VERIFIED else 0
            if flags & _STATED:
                result[_hash(data[place : place + 32])] = (name, size)
                place += _ROW
    return result


def fetch(folder: Path, name: str, size: int, place: Path) -> None:
    """Download a file of a store."""
    import hf_xet

    session = hf_xet.XetSession()
    with session.new_file_download_group(endpoint=f"local://{folder}") as group:
        group.start_download_file(hf_xet.XetFileInfo(name, size), str(place))


def _hash(data: bytes) -> str:
    """Four little-endian words, as xet writes hashes."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", data))
