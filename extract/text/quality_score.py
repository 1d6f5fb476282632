"""How good a pair looks, 0 to 1000: integer arithmetic on counts, no model.

Method: the sum of eight parts, each with its maximum:

    opening     150  first word a verb ("Return", "Computes") 150; after the function's own name
                     or "This method" 120; an article or "if"/"whether" 60; else 75
    content     200  25 for each distinct content word, up to 8
    overlap     200  share s (percent) of the content words that stand in the folded code:
                     s < 25: 8 s; 25..75: 200; above: 200 - 6 (s - 75). None is a mismatch, all
                     an echo, and both are worth little.
    novelty     100  34, 67, 100 for 1, 2, 3 and more content words that the name does not hold
    parameters   50  50 when the query names a parameter (or there is none), else 25
    lines       100  body lines 0..1: 20, 2: 50, 3..60: 100, 61..150: 70, more: 40
    provenance  150  by source: documentation 100, pair 100, description 80, returns 20; by kind:
                     docstring, doc_comment and unknown 50, line_comment 10
    shape        50  25 for under one symbol in 20 characters, 25 for 4..40 words

minus 150 for the phrases of stubs ("getter for", "todo", "deprecated") and 50 for a question.
Content words are runs of two and more letters that are not stop words, of the first 64 words.
"Stands in the code" is a substring test: it finds `user` in `user_name` without splitting
every identifier, and finds `set` in `offset` too; that is the price of its speed.
Cost: 8-11 us a pair.
Limits: verbs and stop words are English. It filters; it never ranks.
"""

from __future__ import annotations

import re

from extract.text.words import name_words, word_set

MAX_QUALITY = 1000

_VERBS = word_set(
    "abort accept access acquire activate adapt add adjust align allocate allow analyze append"
    " apply approximate assemble assert assign attach authenticate await begin bind block bootstrap"
    " build bump cache calculate call cancel capture cast change check choose clamp clean clear"
    " clone close coerce collapse collect combine commit compare compile complete compose compress"
    " compute concatenate configure confirm connect construct consume contain convert copy count"
    " create cut deactivate decode decorate decrease decrement decrypt deduplicate define delegate"
    " delete deploy derive describe deserialize destroy detach detect determine disable discard"
    " disconnect dispatch display divide do download draw drop dump emit empty enable encode"
    " encrypt end enforce enqueue ensure enter enumerate erase escape establish estimate evaluate"
    " examine exclude execute exit expand expect export extend extract fail fetch fill filter"
    " finalize find finish fire fit fix flatten flip flush focus fold follow force fork format"
    " forward free freeze gather generate get give grab group guess handle hash hide hold ignore"
    " implement import include increase increment indicate infer inform inherit init initialize"
    " inject insert inspect install instantiate interpolate intersect invalidate invert invoke"
    " issue iterate join keep kill launch lay limit list listen load locate lock log lookup make"
    " manage map mark match measure merge migrate modify monitor mount move multiply mutate"
    " navigate negate normalize notify obtain open order overwrite pack pad paginate parse"
    " partition pass patch peek perform persist pick place play poll pop populate post prepare"
    " prepend present preserve prevent print process produce prompt propagate provide prune publish"
    " pull purge push put query queue raise read rebuild receive recompute record recover redirect"
    " reduce refresh register reject release reload remove rename render repeat replace report"
    " represent request require reset resize resolve restart restore resume retain retrieve retry"
    " return reverse revert revoke rewrite roll rotate round route run sample sanitize save scale"
    " scan schedule scroll search seek select send serialize serve set setup shift show shuffle"
    " shutdown sign simplify simulate skip slice sort spawn specify split stack start stop store"
    " stream strip submit subscribe subtract suggest sum support suspend swap switch synchronize"
    " take tell terminate test throw toggle tokenize trace track train transform translate"
    " transpose traverse trigger trim truncate try turn undo unescape uninstall union unlock"
    " unmount unpack unregister unset unsubscribe unwrap update upgrade upload use validate verify"
    " visit wait walk warn watch wrap write yield"
)
_STOP_WORDS = word_set(
    "the an of to in is it its and or for with that this on by as at be are was were if from not"
    " no any all can will would should may must has have had do does been being which when where"
    " what who how then than so such into onto out up over under only also but both each other"
    " there their them they we you your our he she his her some these those use used using via"
    " one two given function method class value values object"
)
_SELF_WORDS = frozenset(("this", "function", "method", "helper", "a", "utility", "callback"))
_ARTICLES = frozenset(("the", "a", "an", "if", "whether", "when", "this"))
_STUBS = re.compile(
    r"\b(?:getter|setter|stub|placeholder|todo|fixme|deprecated|do not use|internal use|obsolete"
    r"|constructor|default implementation|not implemented|overrides?|implementation of)\b"
)
_CONTENT = re.compile(r"[^\W\d_]{2,}")
_PARAMETERS = re.compile(r"\(([^()]{0,400})")
_PARAMETER = re.compile(r"[A-Za-z]\w{2,}")
_SYMBOLS = b"=<>{}[]()$%^\\|*~+&;#@_/"
_MAX_WORDS = 64
_SOURCE_POINTS = {"commit": 80, "documentation": 100, "pair": 100, "description": 80, "returns": 20}


def quality(
    *,
    query: str,
    name: str,
    folded_code: str,
    body_lines: int,
    doc_kind: str,
    query_source: str,
) -> int:
    """The quality of a pair, 0..1000 (formula above).

    `query` is the final query, `folded_code` the stored code through `extract.text.query.fold`.
    """
    words = query.lower().split()[:_MAX_WORDS]
    lowered = " ".join(words)
    content = [w for w in dict.fromkeys(_CONTENT.findall(lowered)) if w not in _STOP_WORDS]
    named = name_words(name)
    points = (
        _opening(words, "".join(named))
        + min(len(content), 8) * 25
        + _overlap(content, folded_code)
        + _novelty(content, named)
        + _parameters(lowered, folded_code)
        + _lines(body_lines)
        + _SOURCE_POINTS.get(query_source, 50)
        + (10 if doc_kind == "line_comment" else 50)
        + _shape(lowered, len(words))
    )
    if _STUBS.search(lowered) is not None:
        points -= 150
    if query.endswith("?"):
        points -= 50
    return max(0, min(MAX_QUALITY, points))


def is_verb(word: str) -> bool:
    """Whether a lower-case word is a known verb, as an order or in the third person."""
    if word in _VERBS or word == "is":
        return True
    if not word.endswith("s"):
        return False
    return word[:-1] in _VERBS or word[:-2] in _VERBS or f"{word[:-3]}y" in _VERBS


def _opening(words: list[str], name: str) -> int:
    for index, word in enumerate(words[:3]):
        bare = word.strip(".,:;()'\"")
        if is_verb(bare):
            return 120 if index else 150
        letters = bare if bare.isalpha() else "".join(filter(str.isalpha, bare))
        if bare not in _SELF_WORDS and letters != name:
            break
    return 60 if words and words[0] in _ARTICLES else 75


def _overlap(content: list[str], folded_code: str) -> int:
    if not content:
        return 0
    hits = len([word for word in content if word in folded_code])
    share = hits * 100 // len(content)
    if share < 25:
        return 8 * share
    return 200 if share <= 75 else 200 - 6 * (share - 75)


def _novelty(content: list[str], named: list[str]) -> int:
    new = len([word for word in content if word not in named and word[:-1] not in named])
    return (0, 34, 67, 100)[min(new, 3)]


def _parameters(query: str, folded_code: str) -> int:
    opening = _PARAMETERS.search(folded_code, 0, 400)
    names = _PARAMETER.findall(opening[1]) if opening is not None else []
    if not names:
        return 50
    for name in names:
        if name in query:
            return 50
    return 25


def _lines(body_lines: int) -> int:
    if body_lines <= 2:
        return 50 if body_lines == 2 else 20
    if body_lines <= 60:
        return 100
    return 70 if body_lines <= 150 else 40


def _shape(query: str, words: int) -> int:
    # One byte a character: deleting bytes takes a tenth of what deleting characters takes.
    plain = query.encode("ascii", "replace")
    symbols = len(plain) - len(plain.translate(None, _SYMBOLS))
    return 25 * (symbols * 20 < len(query)) + 25 * (4 <= words <= 40)
