"""Sentences of a query: addresses, notices and labels out, and no sentence left dangling.

Method, in order: addresses out, each with the words that only led to it ("adapted from"); notices
out ("[Deprecated]", "TODO: ..."), the description after them stays; text ends at a label inside of
it ("Returns:"); rulers, bullets and white space tidied; then the end is looked at. What announced
something that was cut off ("for example", "the following options") goes, and a sentence that ends
in a word that needs another one ("of", "the", "and") goes up to the sentence before.
A preposition may end a sentence that its author ended ("the port it is bound to.").
Cost: about 1 us a step where the step applies; only the last 200 characters are looked at for an
end. Limits: the words are English.
"""

from __future__ import annotations

import re

from extract.text.quality_score import is_verb
from extract.text.words import word_set

_GAP = re.compile(r"(?<=[.!?])\s+")
_SENTENCE_END = re.compile(r"[.!?][)\"']?(?=\s)")
_ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.", "resp.")
_MIN_SENTENCE_WORDS = 3
_TAIL = 200

_URL = re.compile(
    r"(?:[<(\[\"']?\b(?:https?|ftp|file)://|[<(\[]?(?<![\w.\"'])www\.)[^\s<>\"'`)\]}]++[>)\]\"']?"
    r"(?:\sfor (?:more|further|full|additional) [a-z]{2,20}\b\.?)?"
)
_URL_VERBS = word_set(
    "according adapted based borrowed cf copied defined derived described discussed documented"
    " explained found given inspired listed mentioned outlined ref refer see specified suggested"
    " taken"
)
_URL_NEAREST = word_set("a an as at by for from in like of on per such the to under using via with")
_URL_LEADS = (
    _URL_VERBS
    | _URL_NEAREST
    | word_set(
        "about also and article available code details docs documentation e.g here info"
        " information is it link more or page read reference source that this url visit"
    )
)
_DETERMINERS = word_set("a an the this that")
_REFERRING = re.compile(
    r"\W*(?:(?:please |also |and |but |or |to |for (?:more|further|full|additional|the|a|an)\b"
    r"|more |further |additional |full |you can ){0,3}"
    r"(?:see|cf|ref|refer|reference|source|from|via|link|more|taken|adapted|based|docs?|inspired"
    r"|borrowed|copied|stolen|details?|described|read more)\b"
    r"|for\b[^.!?]{0,80}\b(?:see|read|visit|refer)\b"
    r"|(?:this|it|code|algorithm|implementation|function|method|formula|idea)"
    r"(?: (?:function|method|code|is|was|has|been|comes?|mostly|partly|heavily)){0,3}"
    r" (?:from|based|taken|adapted|copied|borrowed|inspired)\b)",
    re.IGNORECASE,
)
_CLOSED_BY = {")": "(", "]": "[", ">": "<"}
_EMPTY_BRACKETS = re.compile(r"(?<!\w)(?:\(\s*+[.,;:]?\s*+\)|\[\s*+\](?!\w)|<\s*+>)")
_SPACE_BEFORE = re.compile(r"(?<![ :,])[ :,]++([.;])(?=\s|$)| (?=[,:](?:\s|$))")

_DEPRECATED = re.compile(
    r"[\W_]{0,4}(?:(?:warning|note|soft)\b[\s:!-]{1,3})?"
    r"(?:this (?:method|function|class) (?:is|was|has been) (?:now )?)?"
    r"(?:(?<=[\[(*_])(?:deprecated|discouraged|obsolete)[\])*_]{1,4}[\s:.,;!\u2013\u2014-]*"
    r"|deprecated\s?[:.,;!\u2013\u2014-]+\s*"
    r"|deprecated\s+(?=(?-i:[A-Z]))"
    r"|deprecated\s+(?=(?:since|in|as of|from|for|use|please|and|method|function|alias|replaced"
    r"|do not|will|by|v?\d)\b)"
    r"|deprecated$)",
    re.IGNORECASE,
)
_NOTICE = re.compile(
    r"\W*(?:use|uses|using|please|see|replaced|replace|since|as of|in favou?r|in v?[\d.]+|from v?\d"
    r"|v?\d[\w.]*|version|will be|to be removed|removed|superseded|prefer|consider|call|do not"
    r"|don't|should|instead|maybe|perhaps|we|this|these|it|it's|that|they|you|and|there|now"
    r"|new code|users|kept"
    r"|only (?:kept|for)|for backwards?|deprecated)\b"
    r"|[^.!?]*\b(?:instead|deprecat\w+)\b",
    re.IGNORECASE,
)
_INNER_NOTICE = re.compile(
    r"(?<=[.!?)] )(?:\W{0,2}(?:(?-i:DEPRECATED)\b|Deprecated[\]):]|\[deprecated)"
    r"|(?:TODO|FIXME|XXX|HACK)\b)"
    r"|(?<![\w\"'-])(?:TODO|FIXME|XXX|HACK)(?:\([^()]{0,40}\))?:(?=\s|$)"
)
_TODO = re.compile(r"\W{0,8}(?:(?:TODO|FIXME|XXX|HACK)\b|[Tt]o ?do\s?[:(]|fixme\b)")

_TODOS = frozenset(("todo", "to d", "fixm"))

_INNER_LABEL = re.compile(
    r"\s(?:(?:Args|Arguments|Parameters|Params?|Returns?|Raises|Yields|Throws|Examples?"
    r"|Usage|Example usage|Keyword arguments|Side effects|Input|Output)\s?:(?=\s|$)"
    r"|:(?:param|type|raises?)\s[\w\s]{1,60}:(?=\s|$)|:(?:returns?|rtype):(?=\s|$)"
    r"|@(?:param|returns?|throws|see|since|type|private|public|api|deprecated)\b)"
)

_RULERS = tuple(mark * 5 for mark in "-=*#_~+")
_RULER = re.compile(r"[-=*#_~+]{5,}+")
_LEAD = re.compile(r"(?:(?:[-+*#=>|~:;,.\u2022\u2013\u2014]++|\(?#\d{2,6}\)?:?)\s++)+")
"""A bullet, or the number of an issue that a description begins with."""

_NEEDS_MORE = word_set("a an the and or nor but than whose because unless vs its eg ie e.g i.e")
_CONJUNCTIONS = word_set("if when where that which while whether until like between")
_PREPOSITIONS = _CONJUNCTIONS | word_set(
    "of to from with by for in on at as into onto via per about under over through within without"
    " see using upon"
)
_VERBS = word_set("is are be was were")
_ANNOUNCES = word_set(
    "example examples instance eg ie e.g i.e following follows usage note notes sample samples"
    " returns return this so below parameters arguments args output input options"
)
_ENDS_NOTHING = _NEEDS_MORE | _PREPOSITIONS
_ENDINGS = _NEEDS_MORE | _PREPOSITIONS | _VERBS | _ANNOUNCES
_LEAD_WORDS = _ANNOUNCES | word_set(
    "and or so but see consider for as in an some here is are was here's the a simple quick code of"
    " use it like call called works looks work look would be basic typical possible syntax format"
    " common usages cases case more with"
)
_ANNOUNCEMENT = re.compile(
    r"(?: ?[,;(\u2013\u2014-]| and)? ?\b(?:for example|for instance|e\.?g\.?|i\.?e\.?|such as"
    r"|as follows|like (?:this|so|the following|below)|(?:some|an|few|more) examples?"
    r"|(?:based |depending |according )?"
    r"(?:with|using|by|from|to|as|in|like|into|on|for|per|via|under|accepts|takes)"
    r" (?:either |any |all |one |some )?(?:of )?(?:the|these) following(?: [\w'-]+){0,4})$",
    re.IGNORECASE,
)
_FOLLOWING = re.compile(r"\b(?:the|these|one of|any of) following(?: [\w'-]+){0,4}$", re.IGNORECASE)
_INCOMPLETE = word_set(
    "be called code defined equal equivalent identical is are look looking looks one set similar"
    " something works written"
)
_STRANDED = re.compile(
    r"\b(?:that|which|what|who|whom|whose|where|how|is|are|was|were|be|been|being|has|have)\b"
    r"|\b(?:\w{2,}ed|given|refers|belongs|points|comes|goes|depends|maps)$",
    re.IGNORECASE,
)
_INFINITIVE = re.compile(r"\b(?:used|needs?|able|going|has|have|how|wants?|order|likely) to$", re.I)
_RELATIVE = re.compile(r"\b(?:that|which|what|whom?|whose)\b", re.IGNORECASE)
_ASKING = re.compile(r"\b(?:that|which|what|who|where|how|than|as|if|whether)\b", re.IGNORECASE)
_WHOLE = re.compile(
    r"\b(?:(?:bitwise|logical|boolean|binary) \w+|passed in|(?:less|greater|other) than)$",
    re.IGNORECASE,
)


def without_addresses(text: str) -> str:
    """URLs out, with the words that led to them; a sentence with fewer than 3 words left, or that
    only refers, goes with them."""
    if "://" not in text and "www." not in text:
        return text
    kept = []
    for sentence in _GAP.split(text):
        rest = _without_urls(sentence)
        if rest == sentence:
            kept.append(sentence)
        # What stands in brackets refers for itself alone.
        elif _is_enough(rest) and not _REFERRING.match(rest if sentence[0] == "(" else sentence):
            kept.append(rest)
    return " ".join(kept)


def without_notices(text: str) -> str:
    """What a text says besides that it is deprecated or to be done; "" for nothing.

    A notice is its label and the sentences after it that say what to use instead.
    """
    if not _may_hold_notice(text):
        return text
    inner = _INNER_NOTICE.search(text, 1)
    if inner is not None:
        text = text[: inner.start()].rstrip(" ([")
    if _TODO.match(text) is not None:
        rest = text[len(_first_sentence(text)) :].lstrip()
        # What is to be done is told in orders; what is done, in the third person.
        return rest if _is_telling(rest) else ""
    label = _DEPRECATED.match(text)
    if label is None:
        return text
    rest = text[label.end() :]
    while rest and (_NOTICE.match(_first_sentence(rest)) is not None or not rest[0].isupper()):
        rest = rest[len(_first_sentence(rest)) :].lstrip()
    return rest


def goes_on(text: str) -> bool:
    """Whether a paragraph goes on with the notice before it instead of describing."""
    return _NOTICE.match(text) is not None


def without_labels(text: str) -> str:
    """The text up to the first label of a section that stands on the line of the description."""
    if ": " in text or " :" in text or " @" in text or text.endswith(":"):
        label = _INNER_LABEL.search(text)
        if label is not None:
            return text[: label.start()]
    return text


def tidy(text: str) -> str:
    """Rulers, empty brackets and leading bullets out; white space folded."""
    for ruler in _RULERS:
        if ruler in text:
            text = _RULER.sub(" ", text)
            break
    text = " ".join(text.split())
    lead = _LEAD.match(text)
    return text if lead is None else text[lead.end() :]


def completed(text: str, *, cut: bool) -> tuple[str, bool]:
    """`text` without what its end announces, and whether it could not be made whole.

    `cut`: something that stood behind `text` was cut off. A text that ends in a colon announces,
    too. Where no sentence is whole the text comes back as it is, with True.
    """
    ended = text.rstrip(" :;,-\u2013\u2014")
    if len(ended) < len(text):
        cut = cut or text[-1] in ":,-"
        text = ended
    for _ in range(4):
        word = text[text.rfind(" ") + 1 :].strip("(.)").lower()
        if word not in _ENDINGS and not (cut and "following" in text[-60:]):
            break
        start = last_sentence(text)
        shorter = _without_announcement(text, start, cut)
        if shorter is None:
            if not _dangles(text, start, word, cut):
                break
            before = text[:start].rstrip()
            return (before, False) if _is_enough(before) else (text, True)
        text = shorter
        cut = not text.endswith((".", "!", "?"))
    return text, False


def without_last_words(text: str) -> str:
    """A text that was cut between two words, without the words at its end that need another."""
    words = text.split(" ")
    while words and words[-1].lower() in _ENDS_NOTHING:
        words.pop()
    return " ".join(words).rstrip(" :;,-")


def _may_hold_notice(text: str) -> bool:
    # Written out: a loop over the marks takes three times as long.
    if "eprecated" in text or "EPRECATED" in text or "TODO" in text or "FIXME" in text:
        return True
    return "XXX" in text or "HACK" in text or not text[:1].isalpha() or text[:4].lower() in _TODOS


def _without_urls(sentence: str) -> str:
    kept: list[str] = []
    at = 0
    for match in _URL.finditer(sentence):
        after = sentence[match.end() : match.end() + 2]
        before = sentence[at : match.start()]
        if not at or not _URL_LEADS.issuperset(before.split()):
            before = _without_lead(before, after)
        else:
            before = ""
        end = match[0][-1]
        opener = _CLOSED_BY.get(end, "")
        if end in ".,;:!?":
            before = before.rstrip(" :,-")
        elif not opener or match[0][0] == opener or opener not in "".join(kept[-2:]) + before:
            end = " "
        kept += (before, end)
        at = match.end()
    if not at:
        return sentence
    rest = _EMPTY_BRACKETS.sub(" ", "".join(kept) + sentence[at:])
    return _SPACE_BEFORE.sub(r"\1", " ".join(rest.split()))


def _without_lead(before: str, after: str) -> str:
    """`before` without the words that led to the address behind it.

    These are all back to a verb of reference ("as described in the article at"), or else the
    prepositions and articles next to the address.
    """
    text = before.rstrip(" ([<\"':,-")
    if _last_word(text) not in _URL_LEADS:
        return before
    if _last_word(text) in _DETERMINERS and after.strip().isalpha():
        return before
    words = text[-_TAIL:].split(" ")
    leading = [word.lstrip("([").rstrip(".:,").lower() for word in words]
    first = near = len(words)
    while first and leading[first - 1] in _URL_LEADS:
        first -= 1
    while near and leading[near - 1] in _URL_NEAREST:
        near -= 1
    verbs = [index for index in range(first, len(words)) if leading[index] in _URL_VERBS]
    if not verbs:
        first = near
    elif words[verbs[0]][:1].isupper():
        first = verbs[0]
    lead = " ".join(words[first:])
    opening = "(" if "(" in lead else before[len(text) :].strip(" :,-")
    if lead and not opening and after[1:2].isupper():
        # The address was the end of a sentence that has no other.
        opening = "."
    return f"{text[: len(text) - len(lead)].rstrip(' :,-')} {opening}"


def _last_word(text: str) -> str:
    return text[text.rfind(" ") + 1 :].lstrip("([").rstrip(".:,").lower()


def _is_telling(text: str) -> bool:
    first = text.partition(" ")[0].lower()
    return first.endswith("s") and is_verb(first)


def _first_sentence(text: str) -> str:
    end = _SENTENCE_END.search(text)
    return text if end is None else text[: end.end()]


def last_sentence(text: str) -> int:
    """Where the last sentence starts, after the end of the one before; 0 for a single one."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if not text.endswith(_ABBREVIATIONS, 0, match.end()):
            start = match.end()
    return start


def _is_enough(text: str) -> bool:
    return len(text.split()) >= _MIN_SENTENCE_WORDS


def _without_announcement(text: str, start: int, cut: bool) -> str | None:
    """`text` without the announcement at its end; None where there is none."""
    sentence = text[start:].strip()
    words = [word.strip(".:,()").lower() for word in sentence[-_TAIL:].split()]
    announces = any(word in _ANNOUNCES for word in words)
    seen = cut or (start and not sentence.endswith("."))
    if announces and seen and all(word in _LEAD_WORDS for word in words):
        return text[:start].rstrip()
    tail = max(start, len(text) - _TAIL)
    clause = _ANNOUNCEMENT.search(text, tail)
    if clause is None or not (cut or _is_announcing(clause[0])):
        return None
    shorter = text[: clause.start()].rstrip(" :;,-(")
    if clause[0].lstrip()[0].isalpha() and _last_word(shorter) in _INCOMPLETE:
        return None
    return shorter if _is_enough(shorter[start:]) or start and not shorter[start:].strip() else None


def _is_announcing(clause: str) -> bool:
    """Whether the clause announces even where nothing was seen to follow."""
    return "following" not in clause.lower()


def _dangles(text: str, start: int, word: str, cut: bool) -> bool:
    tail = max(start, len(text) - _TAIL)
    ended = text.endswith((".", "!", "?", ")")) and not cut
    if not ended and _ANNOUNCEMENT.search(text, tail) is not None:
        return True
    if cut and _FOLLOWING.search(text, tail) is not None:
        return True
    last = text.rfind(" ")
    if (
        last > start
        and text[last + 1 :].lstrip("(")[:1].isupper()
        or _WHOLE.search(text[-40:].rstrip(".")) is not None
    ):
        return False
    if not ended and _INFINITIVE.search(text, tail) is not None:
        return True
    if word in _NEEDS_MORE:
        return not (word == "a" and ended)
    if word in _VERBS:
        return cut or (not ended and _ASKING.search(text, tail) is None)
    if word not in _PREPOSITIONS or ended:
        return False
    if cut or word in _CONJUNCTIONS:
        return True
    clause = _RELATIVE if word == "of" else _STRANDED
    return clause.search(text, tail, max(last, 0)) is None
