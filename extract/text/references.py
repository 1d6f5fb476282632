"""Sentences that describe nothing because they only refer: "See Foo#bar for details.", "Implements
the io.Reader interface.", "Overrides the method of the superclass."

Method: a single sentence of at most 12 words, judged word by word. After "see" stands a name or a
word for documentation ("see if x holds" describes). After "implements" or "overrides" nothing
stands but names, articles, prepositions and words such as "interface": "implements rounding"
describes.
Cost: under 1 us where the first two words are none of these verbs.
Limits: the words are English; a proper noun is taken for a name ("Implements Unicode.").
"""

from __future__ import annotations

from extract.text.words import word_set

_MAX_WORDS = 12
_VERBS = word_set(
    "implement implements implementing implementation override overrides overriding overridden"
    " satisfies fulfills fulfils renamed moved replaced"
)
_ASKING = word_set("if whether what which that how who when where why")
_DOCUMENTS = word_set(
    "above api below detail details doc docs documentation javadoc manual readme spec specification"
)
_FORMAL = word_set(
    "the a an of for from in into by with to and or its this that it override overrides implement"
    " implements required default method methods function functions implementation"
)
_KINDS = word_set(
    "interface interfaces class super superclass super-class parent base trait protocol supertype"
)
_NAME_MARKS = ("::", "#", "/", "_", "'s", "()")


def only_refers(text: str) -> bool:
    """Whether `text`, with code hidden or not, only names what describes in its place."""
    head = text[:80].lower().replace("see:", "see", 1).split(" ", 2)
    if head[0] != "see" and _VERBS.isdisjoint(head[:2]):
        return False
    words = text.rstrip(".").split()
    if len(words) > _MAX_WORDS or ". " in text:
        return False
    if head[0] == "see":
        rest = words[1:]
        return bool(rest) and rest[0] not in _ASKING and any(map(_names_another, rest))
    rest = words[1:] if head[0] in _VERBS else words[2:]
    rest = [word.strip("()\"',") for word in rest if word.lower() not in _FORMAL]
    return bool(rest) and all(word in _KINDS or _is_name(word) for word in rest)


def _names_another(word: str) -> bool:
    return word.strip("(),") in _DOCUMENTS or _is_name(word)


def _is_name(word: str) -> bool:
    """Whether a word is written as code is: capitals, marks inside, or hidden (`markup.Hidden`)."""
    if not word:
        return True
    first = word[0]
    if first.isupper() or "\ue000" <= first <= "\uf8ff" or "." in word:
        return True
    return any(sign in word for sign in _NAME_MARKS)
