"""Words about input that hold none of it, for whatever is written: reasons, receipts, logs.

Method: content is named by a digest, a fault by its type and the line of code that met it. The
message of an exception is never taken, since libraries quote what they stumble over; those of
zlib and of a stream that ends early are constants, and are kept.
Cost: one SHA-256 of what is named. Limits: a digest of a short secret can be found by trying.
"""

from __future__ import annotations

import hashlib
import traceback
import zlib
from pathlib import PurePath

DIGITS = 16
_CONSTANT = (zlib.error, EOFError)


def digest_of(content: bytes | str) -> str:
    """`sha256 ` and the first 16 hex digits of the SHA-256 of bytes, or of a text in UTF-8."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return f"sha256 {hashlib.sha256(data).hexdigest()[:DIGITS]}"


def fault_of(error: BaseException) -> str:
    """What a library met in a broken file: its message where that quotes nothing, else the type."""
    constant = str(error)[:160] if isinstance(error, _CONSTANT) else ""
    return constant or type(error).__name__


def code_place(error: BaseException) -> str:
    """The type of an exception and where it was raised, `ValueError at
    extract/parsing/tree_sitter_parse.py:42`."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return type(error).__name__
    path = "/".join(PurePath(frames[-1].filename).parts[-2:])
    return f"{type(error).__name__} at {path}:{frames[-1].lineno}"


def code_frames(error: BaseException, most: int = 4) -> str:
    """The type of an exception and its last frames, without its message."""
    frames = "".join(traceback.format_tb(error.__traceback__)[-most:])
    return f"{type(error).__name__}\n{frames}".rstrip()
