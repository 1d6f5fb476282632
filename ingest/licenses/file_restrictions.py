"""Words in the head of a file by which its owner allows nothing, or no commercial use.

Method: the folded head is searched for wordings of proprietary notices; each needs more than one
word that prose has too ("confidential" alone names a kind of OAuth client). Those of
`ingest.licenses.restrictions` count that state a condition, not those that only name a licence.
Cost: 12 searches in a head. Limits: wordings that are not here.
"""

from __future__ import annotations

import re

from ingest.licenses.restrictions import LIMITS

_OPERATIVE = tuple(
    phrase
    for phrase, limit in LIMITS
    if limit in ("non-commercial", "CC-BY-NC", "JSON") or phrase == "right to sell the software"
)
_THING = (
    r"(?:files?|code|software|source|programs?|documents?|materials?|works?|modules?|scripts?"
    r"|library|information|product|publication)"
)
_SUBJECT = rf"\b(?:this|the|these|all|such|any)(?: \w+){{0,3}}? {_THING}\b"
_FILL = (
    r"(?: (?:the|an?|and|or|to be|strictly|highly|company|valuable|unpublished|solely|considered"
    r"|exclusive|property|copyrighted|private|intellectual|information|our|its|of|sole))*"
)
_COPYING = (
    r"(?:copying|reproduction|duplication|distribution|redistribution|dissemination|disclosure|use)"
)
_COPIED = r"(?:copied|reproduced|distributed|redistributed|disclosed|transmitted|disseminated)"
_FORBIDDEN = (
    r"(?:prohibited|forbidden|illegal|unlawful|not permitted|not allowed|a violation|punishable)"
)
_NOTICES = tuple(
    (words, re.compile(pattern))
    for words, pattern in (
        (
            "unauthorized copying",
            rf"\bunauthori[sz]ed {_COPYING}\b(?: \w+){{0,20}}? {_FORBIDDEN}\b"
            rf"|\bunauthori[sz]ed {_COPYING}(?: (?:and|or) {_COPYING}){{0,3}} of {_SUBJECT}"
            rf"|\ball rights reserved(?: \w+){{0,3}}? unauthori[sz]ed {_COPYING}\b",
        ),
        (
            "proprietary and confidential",
            r"\b(?:proprietary|confidential)(?: and| or)? (?:confidential|proprietary)\b",
        ),
        (
            "company confidential",
            r"\b(?:company|strictly|commercially?) confidential\b|\bconfidential information of\b",
        ),
        (
            "is proprietary or confidential",
            rf"{_SUBJECT} (?:is|are|contains?|remains?|constitutes?|comprises?){_FILL}"
            r" (?:proprietary|confidential|trade secrets?)\b",
        ),
        (
            "may not be copied without permission",
            rf"{_SUBJECT}(?: \w+){{0,6}}? (?:may|must|shall|can) not be (?:\w+ ){{0,8}}?{_COPIED}\b"
            r"(?: \w+){0,30}? (?:without|except|unless)(?: \w+){0,6}?"
            r" (?:permission|consent|approval|authori[sz]ation|agreement|licen[sc]e)\b",
        ),
        (
            "copying is prohibited",
            rf"\b{_COPYING}(?: (?:and|or) {_COPYING}){{0,3}} of {_SUBJECT}(?: \w+){{0,12}}?"
            rf" (?:is|are)(?: strictly| expressly| hereby)* {_FORBIDDEN}\b",
        ),
        (
            "no part of this may be copied",
            rf"\bno part of {_SUBJECT}(?: \w+){{0,4}}? may be (?:\w+ ){{0,3}}?{_COPIED}\b",
        ),
        (
            "trade secret",
            r"\b(?:protected (?:by|under|as)|contains?|are|as)(?: \w+){0,3}? trade secrets?\b",
        ),
        ("unpublished work", r"\bunpublished(?: \w+){0,2}? (?:work|source code|material)\b"),
        (
            "not for distribution",
            rf"\bnot for (?:re)?distribution\b|\bdo not (?:re)?distribute {_SUBJECT}",
        ),
        ("information contained herein is", r"\binformation contained herein is\b"),
        (
            "you may not copy",
            rf"\byou (?:may|must|shall) not (?:copy|reproduce|distribute|redistribute)"
            rf"(?: \w+){{0,3}}? {_SUBJECT}",
        ),
    )
)
"""What each says in short, and its wordings."""


def file_limit(folded: str) -> str:
    """What the folded head of a file says, in short, that allows nothing; "" for nothing."""
    for phrase in _OPERATIVE:
        if phrase in folded:
            return phrase
    return next((words for words, notice in _NOTICES if notice.search(folded)), "")
