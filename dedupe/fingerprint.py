"""Fingerprints: what the later stages need to know of a pair, computed while its code is at hand.

Method, for each pair: lexical tokens; the exact key, SHA-256 over the language and the token
sequence; shingles (64-bit n-gram hashes); a MinHash signature in datasketch's scheme affine32
(`bands * rows` permutations) over the shingles folded to 32 bits; a 64-bit key for each band of
rows of the signature. Pairs of equal language and code in a batch are computed once.

The signature is computed here, not by datasketch: many functions at once, permutation by
permutation, takes a quarter of its time, and importing it (with all of scipy) took each worker
0.3 s. A test holds every value equal to datasketch's own.

A band key hashes language, band number and the band's rows, 32 bits each, with the mix of
`dedupe.shingling`: equal keys of different content come with probability 2^-64 and cost one
verification that fails. Neither signatures nor shingles need to be stored: they are a pure
function of language and code.

Cost: 25,000 functions of 370 bytes a second on one core (signatures alone: 64,000 of 110
shingles). Memory:
a batch holds 4 * permutations + 8 * tokens bytes a function; give it hundreds, not millions.
Limits: a batch takes 30 bytes a shingle while it is computed, so code must be capped in length
before (filters.max_code_chars).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np
import xxhash
from numpy.typing import NDArray

from dedupe.lexer import LEXER_VERSION, tokens
from dedupe.options import DedupeOptions
from dedupe.pair_rule import RULE_VERSION
from dedupe.shingling import U64, mix, shingle_sets, token_hashes
from extract.text import fold

SCHEME = "affine32"
"""datasketch's permutation scheme; that our values are its own is held by a test."""
HASH_NAME = "xxh3_64"
"""The hash of a token."""

_CHUNK_SHINGLES = 1 << 15
"""Shingles whose hashes are permuted at once: 128 kB stay in the second cache of a core."""
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_NO_KEYS: U64 = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """What identifies a pair's code and query to this package."""

    tokens: int
    """Lexical tokens of the code."""
    exact_key: bytes
    """16 bytes: SHA-256 over language and token sequence, truncated."""
    shingles: U64
    """Sorted distinct 64-bit hashes of the n-grams."""
    band_keys: U64
    """One key a band; none for code without tokens."""
    query_group: str
    """16 hex digits: SHA-256 of the folded query, truncated."""


def fingerprints(
    pairs: Sequence[tuple[str, str, str]], options: DedupeOptions
) -> list[Fingerprint]:
    """Fingerprints of (language, code, query) triples, in order.

    Raises `dedupe.lexer.UnknownLanguageError`.
    """
    places: dict[tuple[str, str], int] = {}
    for language, code, _ in pairs:
        places.setdefault((language, code), len(places))
    words = [tokens(language, code) for language, code in places]
    keys = [exact_key(language, lexed) for (language, _), lexed in zip(places, words, strict=True)]
    sets = shingle_sets([token_hashes(lexed) for lexed in words], options.ngram)
    filled = [index for index, lexed in enumerate(words) if lexed]
    languages = [language for language, _ in places]
    bands = dict(
        zip(
            filled,
            band_keys([languages[index] for index in filled], [sets[p] for p in filled], options),
            strict=True,
        )
    )
    return [
        Fingerprint(
            tokens=len(words[index]),
            exact_key=keys[index],
            shingles=sets[index],
            band_keys=bands.get(index, _NO_KEYS),
            query_group=query_group(query),
        )
        for index, query in ((places[language, code], query) for language, code, query in pairs)
    ]


def exact_key(language: str, words: Sequence[str]) -> bytes:
    """16 bytes of SHA-256 over language, the tokens' lengths and the tokens.

    The lengths (in characters, 4 bytes each, little-endian, after their number in 8) make the
    encoding injective: no two token sequences have the same.
    """
    digest = hashlib.sha256(language.encode() + b"\0" + len(words).to_bytes(8, "little"))
    digest.update(np.fromiter(map(len, words), dtype="<u4", count=len(words)).tobytes())
    digest.update("".join(words).encode("utf-8", "surrogatepass"))
    return digest.digest()[:16]


def query_group(query: str) -> str:
    """16 hex digits that pairs with equal folded queries share."""
    return hashlib.sha256(fold(query).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def signatures(sets: Sequence[U64], options: DedupeOptions) -> NDArray[np.uint32]:
    """MinHash signatures of non-empty shingle sets; shape (len(sets), bands * rows).

    Source: Broder, "On the resemblance and containment of documents" (1997), in datasketch 2's
    scheme affine32: a value is mixed by MurmurHash3's 32-bit finaliser, then each permutation is
    h -> a h + b modulo 2^32 with an odd a. Raises `ValueError` for an empty set.
    """
    minima = np.empty((len(sets), options.permutations), dtype=np.uint32)
    first = pending = 0
    for index, shingles in enumerate(sets):
        if not len(shingles):
            raise ValueError(f"shingle set {index} of {len(sets)} is empty: it has no signature")
        if pending and pending + len(shingles) > _CHUNK_SHINGLES:
            _sign(sets[first:index], options, minima[first:index])
            first, pending = index, 0
        pending += len(shingles)
    if pending:
        _sign(sets[first:], options, minima[first:])
    return minima


def _sign(sets: Sequence[U64], options: DedupeOptions, out: NDArray[np.uint32]) -> None:
    """Signatures of some sets into the rows of `out`, permutation by permutation."""
    flat = np.concatenate(sets)
    hashes = _finalise(((flat ^ (flat >> _HALF)) & _LOW).astype(np.uint32))
    starts = np.cumsum([0, *(len(shingles) for shingles in sets[:-1])])
    factors, offsets = _permutations(options.seed, options.permutations)
    moved = np.empty_like(hashes)
    for number, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        np.multiply(hashes, factor, out=moved)
        np.add(moved, offset, out=moved)
        out[:, number] = np.minimum.reduceat(moved, starts)


def _finalise(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """MurmurHash3's 32-bit finaliser, element by element."""
    values = values ^ (values >> np.uint32(16))
    values *= np.uint32(0x85EBCA6B)
    values ^= values >> np.uint32(13)
    values *= np.uint32(0xC2B2AE35)
    values ^= values >> np.uint32(16)
    return values


@functools.lru_cache(maxsize=4)
def _permutations(seed: int, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The factors (odd, so that no two values meet) and offsets of datasketch's affine32."""
    dice = np.random.RandomState(seed)
    factors = dice.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, dice.randint(0, 1 << 32, count, dtype=np.uint32)


def band_keys(languages: Sequence[str], sets: Sequence[U64], options: DedupeOptions) -> list[U64]:
    """The band keys of each shingle set; each of shape (bands,)."""
    rows = signatures(sets, options).reshape(len(sets), options.bands, options.rows)
    seeds = np.array(
        [xxhash.xxh3_64_intdigest(language.encode()) for language in languages], dtype=np.uint64
    )
    keys = mix(seeds[:, None] + np.arange(options.bands, dtype=np.uint64)[None, :])
    for row in range(options.rows):
        keys = mix(keys + rows[:, :, row])
    return list(keys)


def scheme_facts(options: DedupeOptions) -> dict[str, str | int | float]:
    """What the manifest must say so that someone else can recompute every fingerprint."""
    return {
        "bands": options.bands,
        "datasketch": metadata.version("datasketch"),
        "hash": HASH_NAME,
        "lexer": LEXER_VERSION,
        "min_tokens": options.min_tokens,
        "ngram": options.ngram,
        "other_name_threshold": options.other_name_threshold,
        "permutations": options.permutations,
        "query_overlap": options.query_overlap,
        "recall_at_threshold": round(options.recall_at_threshold, 6),
        "rows": options.rows,
        "rule": RULE_VERSION,
        "scheme": SCHEME,
        "seed": options.seed,
        "threshold": options.threshold,
    }
