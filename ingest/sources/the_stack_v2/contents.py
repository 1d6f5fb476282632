"""Fetch the contents of many rows at once, verify each, and hand them out in row order.

Method: a window of futures on threads. A row may enter while fewer than `AHEAD` times
`in_flight` requests and `HELD_BYTES` of stated length wait to be handed out, so that one slow
blob does not stop the others and memory has a bound. Each blob is unpacked up to its stated
length, its SHA-1 compared with its id (which is the SHA-1 of the raw bytes) and its length
with the row, and its text decoded strictly by the encoding of the row and stored as UTF-8:
every offset that is taken later is one of the UTF-8 text. Faults are tried again
(`xtrove.core.retry`), and then raised as `TransientFault`.
Outcomes: content, or `blob_missing`, `blob_mismatch` (not this blob, damaged, or longer than
stated), `blob_undecodable`, `too_large` (as UTF-8), `blob_denied`. Where a caller may not list
a bucket, S3 answers 403 for a blob that is not there: a 403 is `blob_missing` once the store
has given any answer to this reader. `DENIED_FIRST` of them in row order and no answer is a
fault of the credentials; fewer, and the end, are `blob_denied`. If the cache held a blob of the
slice, that one is asked for to decide.
Cost: 0.6 ms of processor a blob; on two cores beside its server 1,360 blobs/s with 64 in flight
at 30 ms an answer (29 with one; `benchmarks/blobs.py`). Memory: 160 MiB more where every file
has 1 MB, for 150 as for 400 of them, with 64 as with 256 in flight.
Limits: contents up to 1 MB; one gzip member a blob.
Sources: RFC 1952 (gzip); https://docs.softwareheritage.org (ids and the bucket).
"""

from __future__ import annotations

import codecs
import hashlib
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Generic, TypeVar

from ingest.errors import SourceError, TransientFault
from ingest.fault_text import fault_of
from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import TOO_LARGE
from ingest.sources.the_stack_v2.blob_cache import BlobCache
from ingest.sources.the_stack_v2.blob_store import (
    KEYS_REMEDY,
    BlobOptions,
    BlobStore,
    Body,
    Fault,
    Refusal,
)
from xtrove.core import GaveUp, PassingFault, RetryPolicy, retry_call

MISSING = "blob_missing"
DENIED = "blob_denied"
MISMATCH = "blob_mismatch"
UNDECODABLE = "blob_undecodable"

AHEAD = 4
HELD_BYTES = 64_000_000
DENIED_FIRST = 16
_MAX_QUEUE = 16_384
_LONGEST_ASKED_S = 30.0
_MAX_NAME = 40
# Quadratic in time, or no encodings of files at all.
_NO_ENCODINGS = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlobRequest:
    """What a row says about its blob."""

    blob_id: str
    """40 hex digits, lower case."""
    length: int | None
    """Bytes of the raw content; None when the row does not say."""
    encoding: str
    """A name that `codec_of` knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A verified blob."""

    data: bytes
    """UTF-8."""
    git_id: str
    """Git's object id of the raw bytes: the `content_id` of Software Heritage."""
    cached: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """Why there is no content: a funnel reason."""

    reason: str
    detail: str
    cached: bool = False


Outcome = Content | Missing
Item = TypeVar("Item")


@dataclass(kw_only=True, slots=True)
class _Entry(Generic[Item]):
    item: Item
    wanted: BlobRequest | None
    outcome: Future[Outcome] | None

    def settled(self) -> Outcome | None:
        return None if self.outcome is None else self.outcome.result()


@dataclass(kw_only=True, slots=True)
class _Window(Generic[Item]):
    """The rows between those handed out and those not looked at yet."""

    room: int
    entries: deque[_Entry[Item]] = field(default_factory=deque)
    requests: int = 0
    held: int = 0

    def full(self) -> bool:
        busy = self.requests >= self.room or self.held >= HELD_BYTES
        return (self.requests > 0 and busy) or len(self.entries) >= _MAX_QUEUE

    def push(self, entry: _Entry[Item]) -> None:
        self.entries.append(entry)
        self._count(entry, 1)

    def pop(self) -> _Entry[Item]:
        entry = self.entries.popleft()
        self._count(entry, -1)
        return entry

    def _count(self, entry: _Entry[Item], sign: int) -> None:
        if entry.wanted is not None:
            self.requests += sign
            self.held += sign * _cap(entry.wanted)


class BlobReader:
    """Fetches for one slice. Close it, or use it as a context."""

    def __init__(self, options: BlobOptions, store: BlobStore, cache: BlobCache | None) -> None:
        self._options = options
        self._store = store
        self._cache = cache
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(options.in_flight, thread_name_prefix="blob")

    @classmethod
    def open(cls, options: BlobOptions) -> BlobReader:
        """Find credentials and cache; asks for nothing. Raises `SourceError`."""
        cache = BlobCache.open(options.cache, options.cache_bytes) if options.cache else None
        return cls(options, BlobStore.open(options), cache)

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._threads.shutdown(cancel_futures=True)
        self._store.close()

    def stream(
        self, items: Iterable[Item], request_of: Callable[[Item], BlobRequest | None]
    ) -> Iterator[tuple[Item, Outcome | None]]:
        """Each item with the outcome of its blob (None if it wants none), in the same order.

        Raises `SourceError` when the store refuses us, `TransientFault` when a blob could not
        be had for now.
        """
        verdict: _Verdict[Item] = _Verdict(self)
        for entry in self._entries(items, request_of):
            for ready in verdict.add(entry):
                yield ready.item, verdict.told(ready)
        for ready in verdict.end():
            yield ready.item, verdict.told(ready)

    def fetch(self, request: BlobRequest, *, cached: bool = True) -> Outcome:
        """One blob, by the thread that calls. Raises like `stream`."""
        kept = self._kept(request) if cached else None
        if kept is not None:
            return kept
        policy = RetryPolicy(tries=self._options.retries + 1, longest_asked_s=_LONGEST_ASKED_S)
        try:
            answer = retry_call(lambda: self._asked(request), policy, stop=self._stop)
        except GaveUp as error:
            raise TransientFault(f"blob {request.blob_id}", str(error)) from error
        if isinstance(answer, Refusal):
            return Missing(reason=DENIED if answer.denied else MISSING, detail=answer.detail)
        opened = _unpacked(answer.data, request)
        if isinstance(opened, bytes) and self._cache is not None:
            self._cache.put(request.blob_id, answer.data)
        return _decoded(opened, request)

    def _asked(self, request: BlobRequest) -> Body | Refusal:
        answer = self._store.get(request.blob_id, _packed_cap(request))
        if isinstance(answer, Fault):
            raise PassingFault(answer.detail, answer.wait_s)
        return answer

    def _kept(self, request: BlobRequest) -> Outcome | None:
        data = self._cache.get(request.blob_id, _packed_cap(request)) if self._cache else None
        if data is None or self._cache is None:
            return None
        opened = _unpacked(data, request)
        if isinstance(opened, bytes):
            return _decoded(opened, request, cached=True)
        self._cache.drop(request.blob_id)
        return None

    def _entries(
        self, items: Iterable[Item], request_of: Callable[[Item], BlobRequest | None]
    ) -> Iterator[_Entry[Item]]:
        window: _Window[Item] = _Window(room=AHEAD * self._options.in_flight)
        for item in items:
            wish = request_of(item)
            outcome = None if wish is None else self._threads.submit(self.fetch, wish)
            window.push(_Entry(item=item, wanted=wish, outcome=outcome))
            while window.full():
                yield window.pop()
        while window.entries:
            yield window.pop()


class _Verdict(Generic[Item]):
    """Holds rows back from the first 403 until it is known what a 403 means here."""

    def __init__(self, reader: BlobReader) -> None:
        self._reader = reader
        self._pending: list[_Entry[Item]] = []
        self._denied = 0
        self._answered = False
        self._known: BlobRequest | None = None
        self.meaning = DENIED

    def add(self, entry: _Entry[Item]) -> list[_Entry[Item]]:
        outcome = entry.settled()
        if outcome is None:
            pass
        elif outcome.cached:
            self._known = entry.wanted
        elif _is_denied(outcome):
            self._denied += 1
        else:
            self._answer()
        self._pending.append(entry)
        if self._denied == 0 or self._answered:
            return self._flush()
        return self._decided() if self._denied >= DENIED_FIRST else []

    def end(self) -> list[_Entry[Item]]:
        if self._denied and not self._answered and self._known is not None:
            return self._decided()
        return self._flush()

    def told(self, entry: _Entry[Item]) -> Outcome | None:
        outcome = entry.settled()
        if isinstance(outcome, Missing) and outcome.reason == DENIED:
            return replace(outcome, reason=self.meaning)
        return outcome

    def _decided(self) -> list[_Entry[Item]]:
        probe = self._reader.fetch(self._known, cached=False) if self._known else None
        if probe is not None and not _is_denied(probe):
            self._answer()
            return self._flush()
        outcomes = [entry.settled() for entry in self._pending]
        raise SourceError(
            f"the blob store denies all of the first {self._denied} blobs that were asked for",
            value=next(outcome.detail for outcome in outcomes if isinstance(outcome, Missing)),
            remedy=KEYS_REMEDY,
        )

    def _answer(self) -> None:
        self._answered = True
        self.meaning = MISSING

    def _flush(self) -> list[_Entry[Item]]:
        ready, self._pending = self._pending, []
        return ready


def _is_denied(outcome: Outcome) -> bool:
    return isinstance(outcome, Missing) and outcome.reason == DENIED


def codec_of(name: str) -> str:
    """Python's name of an encoding of text files, as rows spell it; "" if it has none."""
    return _codec(name) if 0 < len(name) <= _MAX_NAME and name.isprintable() else ""


@lru_cache(maxsize=1024)
def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(name).name
        # Codecs between bytes, such as `hex`, are refused here; nothing is, for no bytes.
        b"a".decode(codec, "replace")
    except (LookupError, ValueError, SyntaxError, ImportError):
        return ""
    return "" if codec.replace("_", "-") in _NO_ENCODINGS else codec


def _cap(request: BlobRequest) -> int:
    return MAX_FILE_BYTES if request.length is None else min(request.length, MAX_FILE_BYTES)


def _packed_cap(request: BlobRequest) -> int:
    """What gzip may need for the content at worst, with a name in its header."""
    cap = _cap(request)
    return cap + cap // 16 + 4096


def _unpacked(packed: bytes, request: BlobRequest) -> bytes | Missing:
    """The raw bytes, if they are this blob."""
    cap = _cap(request)
    if len(packed) > _packed_cap(request):
        return Missing(reason=MISMATCH, detail=f"longer than the {cap} bytes that the row states")
    try:
        stream = zlib.decompressobj(wbits=31)
        raw = stream.decompress(packed, cap + 1)
    except zlib.error as error:
        return Missing(reason=MISMATCH, detail=f"not gzip: {fault_of(error)}")
    if len(raw) > cap:
        return Missing(reason=MISMATCH, detail=f"longer than the {cap} bytes that the row states")
    if not stream.eof:
        return Missing(reason=MISMATCH, detail="the gzip stream has no end")
    if request.length is not None and len(raw) != request.length:
        return Missing(
            reason=MISMATCH, detail=f"{len(raw)} bytes where the row says {request.length}"
        )
    digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    if digest != request.blob_id:
        return Missing(reason=MISMATCH, detail=f"SHA-1 is {digest}")
    return raw


def _decoded(raw: bytes | Missing, request: BlobRequest, *, cached: bool = False) -> Outcome:
    if isinstance(raw, Missing):
        return raw
    try:
        text = raw.decode(request.encoding)
        # The bytes of a file in UTF-8 stay as they are.
        data = raw if request.encoding in ("utf-8", "ascii") else text.encode("utf-8")
    except (UnicodeError, LookupError) as error:
        return Missing(reason=UNDECODABLE, detail=fault_of(error), cached=cached)
    if len(data) > MAX_FILE_BYTES:
        return Missing(reason=TOO_LARGE, detail=f"{len(data)} bytes as UTF-8", cached=cached)
    git_id = hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
    return Content(data=data, git_id=git_id, cached=cached)
