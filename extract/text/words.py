"""Words: sets written as text, names without their owners, and identifiers split into words.

Cost: `name_words` about 1 us for an identifier. Limits: digits part words and are dropped.
"""

from __future__ import annotations

import re

_QUALIFIER = re.compile(r"\.|::|#")
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, which stands in the source as one readable block."""
    return frozenset(text.split())


def last_component(name: str) -> str:
    """The name without what qualifies it: `get` of `Map.get`, `Map::get` and `Map#get`."""
    return _QUALIFIER.split(name)[-1] if not name.isidentifier() else name


def name_words(name: str) -> list[str]:
    """The lower-case words of an identifier or file name, split at case and punctuation."""
    return [part.lower() for part in _NAME_PART.findall(name)]
