"""Words: sets written as text, and identifiers split into theirs.

Cost: `name_words` about 1 us for an identifier. Limits: digits part words and are dropped.
"""

from __future__ import annotations

import re

_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, which stands in the source as one readable block."""
    return frozenset(text.split())


def name_words(name: str) -> list[str]:
    """The lower-case words of an identifier or file name, split at case and punctuation."""
    return [part.lower() for part in _NAME_PART.findall(name)]
