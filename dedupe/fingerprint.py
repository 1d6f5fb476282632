"""Fingerprints: what the later stages need to know of a pair, computed while its code is at hand.

Method, for each pair: lexical tokens; the exact key, SHA-256 over the language and the token
sequence; shingles (64-bit n-gram hashes); a MinHash signature by datasketch (scheme affine32,
`bands * rows` permutations) over the shingles folded to 32 bits; a 64-bit key for each band of
rows of the signature. Pairs of equal language and code in a batch are computed once.

A band key hashes language, band number and the band's rows, 32 bits each, with the mix of
`dedupe.shingles`: equal keys of different content come with probability 2^-64 and cost one
verification that fails. Neither signatures nor shingles need to be stored: they are a pure
function of language and code.

Cost: 16,000 functions of 70 tokens a second on one core (signatures alone: 34,000). Memory:
a batch holds 4 * permutations + 8 * tokens bytes a function; give it hundreds, not millions.
Limits: the signature of one function takes 4 * permutations bytes a distinct shingle while it is
computed (1 kB at the default), so code must be capped in length before (filters.max_code_chars).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import datasketch
import numpy as np
import xxhash
from numpy.typing import NDArray

from dedupe.options import DedupeOptions
from dedupe.shingles import U64, mix, shingle_sets, token_hashes
from dedupe.tokens import LEXER_VERSION, tokens
from extract.query import fold

SCHEME = "affine32"
"""datasketch's permutation scheme; its values are held by a golden test."""
HASH_NAME = "xxh3_64"
"""The hash of a token."""

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_NO_KEYS: U64 = np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """What identifies a pair's code and query to this room."""

    tokens: int
    """Lexical tokens of the code."""
    exact_key: bytes
    """16 bytes: SHA-256 over language and token sequence, truncated."""
    shingles: U64
    """Sorted distinct 64-bit hashes of the n-grams."""
    band_keys: U64
    """One key a band; empty below `min_tokens`."""
    query_group: str
    """16 hex digits: SHA-256 of the folded query, truncated."""


def fingerprints(
    pairs: Sequence[tuple[str, str, str]], options: DedupeOptions
) -> list[Fingerprint]:
    """Fingerprints of (language, code, query) triples, in order.

    Raises `dedupe.tokens.UnknownLanguageError`.
    """
    places: dict[tuple[str, str], int] = {}
    for language, code, _ in pairs:
        places.setdefault((language, code), len(places))
    words = [tokens(language, code) for language, code in places]
    keys = [exact_key(language, found) for (language, _), found in zip(places, words, strict=True)]
    sets = shingle_sets([token_hashes(found) for found in words], options.ngram)
    long = [place for place, found in enumerate(words) if len(found) >= max(1, options.min_tokens)]
    languages = [language for language, _ in places]
    bands = dict(
        zip(
            long,
            band_keys([languages[place] for place in long], [sets[p] for p in long], options),
            strict=True,
        )
    )
    return [
        Fingerprint(
            tokens=len(words[place]),
            exact_key=keys[place],
            shingles=sets[place],
            band_keys=bands.get(place, _NO_KEYS),
            query_group=query_group(query),
        )
        for place, query in ((places[language, code], query) for language, code, query in pairs)
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


def signatures(sets: Iterable[U64], options: DedupeOptions) -> NDArray[np.uint32]:
    """MinHash signatures of non-empty shingle sets; shape (len(sets), bands * rows).

    Source: Broder, "On the resemblance and containment of documents" (1997), in datasketch 2's
    scheme affine32.
    """
    folded = (((s ^ (s >> _HALF)) & _LOW).tolist() for s in sets)
    sketches = datasketch.MinHash.generator(
        folded, num_perm=options.permutations, seed=options.seed, hashfunc=int, scheme=SCHEME
    )
    rows = [sketch.hashvalues for sketch in sketches]
    return np.array(rows, dtype=np.uint32).reshape(len(rows), options.permutations)


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
        "datasketch": str(datasketch.__version__),
        "hash": HASH_NAME,
        "lexer": LEXER_VERSION,
        "min_tokens": options.min_tokens,
        "ngram": options.ngram,
        "permutations": options.permutations,
        "recall_at_threshold": round(options.recall_at_threshold, 6),
        "rows": options.rows,
        "scheme": SCHEME,
        "seed": options.seed,
        "threshold": options.threshold,
    }
