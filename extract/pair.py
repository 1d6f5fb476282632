"""The record of this package: a pair of query and code, with where both came from.

The identity of a pair is a pure function of where it stands and what it says:
SHA-256 over source, repo, path, start_byte and code, each prefixed with its length
(8 bytes, big-endian), of which the first 32 hex digits are kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ingest import cheaply_pickled


@cheaply_pickled
@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One function and the query that finds it.

    `start_line` and `end_line` count from 1 and are inclusive; `start_byte` and `end_byte` are
    half-open; all four are in the original file and span the function with its decorators,
    or are -1 when unknown. `code` is that span without its documentation.
    """

    id: str
    query: str
    code: str
    language: str
    name: str
    scope: str
    """Names of what encloses it, outermost first, joined by dots; "" where there is none or it is
    not known."""
    repo: str
    path: str
    revision: str
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    url: str
    source: str
    source_revision: str
    licenses: tuple[str, ...]
    license_evidence: str
    query_source: str
    """Where the query was taken from: documentation, returns, pair, ..."""
    quality: int
    """0..1000."""
    stars: int
    code_sha256: str
    extractor: str
    """Grammar version and digest of the language's query."""


@cheaply_pickled
@dataclass(frozen=True, kw_only=True, slots=True)
class DroppedPair:
    """A documented function (or a ready pair) that a filter refused, kept as evidence."""

    id: str
    language: str
    source: str
    repo: str
    path: str
    start_line: int
    end_line: int
    name: str
    reason: str
    detail: str
    """The offending value, cut to 200 characters; never a secret."""
    code_sha256: str


def pair_id(*, source: str, repo: str, path: str, start_byte: int, code: str) -> str:
    """The identity of a pair: 32 hex digits."""
    parts: list[bytes] = []
    for field in (source, repo, path, str(start_byte), code):
        data = field.encode("utf-8", "surrogatepass")
        parts += (len(data).to_bytes(8, "big"), data)
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]
