"""Text of people and of code to the words that BM25 counts.

Method: identifiers are split at case, underscores and digits, lower-cased and stemmed (plurals,
-ing, -ed, a final e); an identifier of several parts also counts as a whole. Words that stand in
every question ("how to ... in a") are dropped. In questions so are the names of the corpus's
languages: nobody writes "python" into Python code.
Measured on CoSQA (`docs/performance.md`): each of the four pays, together 3 points of MRR.
Cost: 1.5 MB/s a core. Limits: the stemmer is English, crude on purpose, and equal on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from extract.text import word_set

_IDENTIFIER = re.compile(r"[^\W\d]\w*|\d+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_STOP = word_set(
    "a an the of to in on for is are be how do does i you it and or with from by as at that this"
    " what which can my"
)
_SPOKEN = {
    "python": "python",
    "java": "java",
    "javascript": "javascript",
    "js": "javascript",
    "golang": "go",
    "go": "go",
    "ruby": "ruby",
    "rust": "rust",
    "php": "php",
    "typescript": "typescript",
    "ts": "typescript",
    "cpp": "cpp",
    "csharp": "csharp",
    "kotlin": "kotlin",
    "scala": "scala",
    "swift": "swift",
}


def code_words(text: str) -> list[str]:
    """The words of a document, in order, repeated as they are."""
    return [word for identifier in _IDENTIFIER.findall(text) for word in _words(identifier)]


def query_words(text: str, languages: Collection[str]) -> list[str]:
    """The words of a question asked of a corpus in these languages; all, if only such are left."""
    identifiers = _IDENTIFIER.findall(text)
    kept = [
        identifier for identifier in identifiers if _SPOKEN.get(identifier.lower()) not in languages
    ]
    return [word for identifier in kept or identifiers for word in _words(identifier)]


@lru_cache(maxsize=200_000)
def _words(identifier: str) -> tuple[str, ...]:
    parts = [part.lower() for part in _PART.findall(identifier)]
    whole = (identifier.lower(),) if len(parts) > 1 else ()
    return (*whole, *(stem(part) for part in parts if part not in _STOP))


def stem(word: str) -> str:
    """A lower-case word without its plural, -ing or -ed, and a final e."""
    word = _singular(word)
    for suffix in ("ing", "ed"):
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            word = word.removesuffix(suffix)
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.rstrip("e") if len(word) > 3 else word


def _singular(word: str) -> str:
    if len(word) <= 3 or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ses", "xes", "zes", "hes")):
        return word[:-2]
    return word if word[-2] in "su" else word[:-1]
