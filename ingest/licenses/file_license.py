"""What a file says about its own licence, beside what its repository says.

The rule. The head of a file (`ingest.licenses.file_head`: what its language lets stand before the
first code, 8 KB at most) is searched for what states a licence of this file:
- a tag `SPDX-License-Identifier:` at the start of a line: its expression, by SPDX logic;
- a field at the start of a line: `@license X`, `License: X`, Python's `__license__ = "X"`;
- a sentence that grants: this file is, or "copyright ... ", licensed, released, distributed,
  redistribute it ... under, subject to, governed by X; "a copy of the GNU ... License along with";
- the text of a licence (MIT, BSD, ISC, Zlib, ...);
- a line that is a licence's name or address and nothing else, where nothing of the above stands;
- words that allow nothing: "unauthorized copying", "proprietary and confidential", "may not be
  copied ... without", trade secrets, non-commercial use only.
Everything that is found holds, and the policy must let in each of it; so must it the licences of
the repository. What is named otherwise refuses nothing: "compatible with the GPL", a name in a
string or behind the first code, "all rights reserved" on a line of copyright.

Cost: some microseconds a file without a notice; a notice is read once for all files that share
it. Limits: a notice in words of its author's own, or in another language than English, is not
seen; a tag that is no SPDX expression is unknown, which the policy refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from ingest.fault_text import digest_of
from ingest.licenses.file_head import HEAD_BYTES, comment_lines, head_of
from ingest.licenses.file_restrictions import file_limit
from ingest.licenses.license_names import (
    folded,
    is_choice,
    is_only_names,
    licences_named,
    may_name,
    stated_licences,
)
from ingest.licenses.policy import (
    NO_ASSERTION,
    NOT_PERMISSIVE,
    RESTRICTED,
    LicensePolicy,
    is_known,
    normalise,
)
from ingest.licenses.text_match import fold_text, texts_in
from ingest.records import Skip, SourceFile, SourcePair

FILE_NOT_PERMISSIVE = "file_license_not_permissive"
FILE_UNKNOWN = "file_license_unknown"

# One of these stands in every notice that is looked for.
_GATES = (
    *(b"licen", b"gpl", b"proprietary", b"confidential", b"unauthori", b"trade secret"),
    *(b"commercial", b"prohibited", b"forbidden", b"permission", b"distribut", b"by-n"),
    *(b"unpublished", b"cc by", b"consent", b"approval", b"copied", b"reproduc"),
)
_QUOTED_CHARS = 100

_TAG = re.compile(r"^SPDX-License-Identifier:[ \t]*([^\n]{0,1000})$", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(
    r"^(?:@licen[sc]es?[ \t:=]+|:?licen[sc]es?(?: uri| url| type)?(?:[ \t]*:+[ \t=]*|[ \t]*=[ \t]+"
    r"|[ \t]{2,}))(?P<value>\n?[^\n]{1,300})",
    re.IGNORECASE | re.MULTILINE,
)
_PYTHON_FIELD = re.compile(rb"^__licen[sc]e__\s*=\s*[\"']{1,3}([^\"'\n]{1,300})", re.MULTILINE)

_VERB = r"(?:dual |dually |multi |triple |sub|re)?(?:licen[sc]ed|released|distributed)"
_OTHER_VERBS = (
    r"(?:distributable|available|provided|published|issued|offered|redistributed?|modify|modified"
    r"|used|usable|copied|shared|covered|donated|contributed|placed)"
)
_GRANT = re.compile(
    rf"\b(?:(?P<verb>{_VERB}|{_OTHER_VERBS})\b(?: \w+){{0,12}}? under\b"
    rf"|{_VERB} (?:as|with|by|per)\b"
    r"|subject to\b|(?:governed|covered|protected) by\b|under the terms of\b)"
)
_SENTENCE = re.compile(
    r"(?<=[.!?])\s+(?=[\"'(]?[A-Z])|\n\s*\n"
    rf"|\n(?=(?:copyright|\(c\)|this|these|{_VERB}|dual|subject to)\b)",
    re.IGNORECASE,
)
_LEADS = re.compile(
    r"^$|\bcopyright\b|^c \d|^(?:\w+ ){0,3}(?:portions|parts|code|software|works?|plugin|library"
    r"|module|script|program|project|file|contents)$"
    r"|\b(?:is|are|be|been|was|were|can|may|and|or|also|hereby|reserved|it|dual|then|made)$"
)
_NO_LEAD = re.compile(
    r"\b(?:not|whether|if|checks?|detects?|compatible|incompatible|unlike|cannot|how|why|when"
    r"|every|any|example|dependenc\w+|must|should)\b"
)
_MAX_NAME_CHARS = 120
_TAIL_CHARS = 400
_ALONG = re.compile(
    r"\ba copy of the gnu (?:\w+ ){0,4}?licen[sc]e\b(?=.{0,20}\b(?:along|with|together)\b)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileLicence:
    """What the head of a file says."""

    ids: tuple[str, ...]
    """SPDX expressions, all of which hold; at least one."""
    evidence: str
    """The words that decided: those this module knows, and nothing else that stands there."""


def judged(
    policy: LicensePolicy, records: Iterator[SourceFile | SourcePair | Skip]
) -> Iterator[SourceFile | SourcePair | Skip]:
    """The records, with those refused whose own words the policy does not let in.

    One that is let in carries the licences of its repository and its own, and both evidences.
    """
    for record in records:
        yield record if isinstance(record, Skip) else _judge(policy, record)


def file_licence(content: bytes, language: str) -> FileLicence | None:
    """What the head of a file says about its licence; None where it says nothing."""
    texts = head_of(content, language)
    if language == "python" and content.find(b"\n__licen", 0, HEAD_BYTES) >= 0:
        texts += [b"@license " + value for value in _PYTHON_FIELD.findall(content, 0, HEAD_BYTES)]
    # Most heads hold none of the words: one look at them all is quicker than one at each.
    if not _may_say(b"\n".join(texts)):
        return None
    comments = [text for text in texts if _may_say(text)]
    statements = [statement for text in comments for statement in _statements(text)]
    if not statements:
        statements = [statement for text in comments for statement in _names(text)]
    return _summed(statements) if statements else None


def spdx_tags(content: bytes, language: str) -> tuple[str, ...]:
    """What the `SPDX-License-Identifier` tags in the head of a file say; () without any."""
    tags = [ids for text in head_of(content, language) for ids, _ in _tags(comment_lines(text))]
    return tuple(dict.fromkeys(spdx for ids in tags for spdx in ids))


def _judge(
    policy: LicensePolicy, record: SourceFile | SourcePair
) -> SourceFile | SourcePair | Skip:
    content = record.content if isinstance(record, SourceFile) else record.code.encode()
    own = file_licence(content, record.language)
    if own is None:
        return record
    reason = policy.refusal(own.ids)
    evidence = f"head of the file: {own.evidence}"
    if reason is not None:
        return Skip(
            language=record.language,
            reason=FILE_NOT_PERMISSIVE if reason == NOT_PERMISSIVE else FILE_UNKNOWN,
            row=record.row,
            detail=f"{record.path}: {evidence}"[:200],
            fact=evidence,
        )
    return replace(
        record,
        licenses=policy.recorded((*record.licenses, *own.ids)),
        license_evidence=f"{record.license_evidence}; {evidence}",
    )


_Statement = tuple[tuple[str, ...], str]
"""Identifiers and the words that say so."""


def _may_say(text: bytes) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in _GATES)


@lru_cache(maxsize=4096)
def _statements(comment: bytes) -> tuple[_Statement, ...]:
    """What one comment states, by any of the ways but the last."""
    lines = comment_lines(comment)
    folded_text = fold_text(lines)
    every = [*_tags(lines), *_fields(lines), *_grants(lines)]
    every += [((spdx,), f"text of {spdx}") for spdx in texts_in(folded_text)]
    limit = file_limit(folded_text)
    if limit:
        every.append(((RESTRICTED,), limit))
    return tuple(statement for statement in every if statement[0])


@lru_cache(maxsize=4096)
def _names(comment: bytes) -> tuple[_Statement, ...]:
    """The lines of a comment, or parts of lines between bars, that are names of licences."""
    lines = (line for line in comment_lines(comment).split("\n") if len(line) <= _MAX_NAME_CHARS)
    parts = (folded(part) for line in lines for part in line.split("|") if may_name(part.lower()))
    names = tuple(licences_named(words) for words in parts if is_only_names(words))
    words = folded(comment_lines(comment))
    # "You can choose between two licenses: 1) GNU GPLv2 2) PSF license for Python 2.2"
    return (licences_named(words),) if names and is_choice(words) else names


def _summed(statements: list[_Statement]) -> FileLicence:
    stated = {spdx for ids, _ in statements for spdx in ids}
    unknown = {spdx for spdx in stated if not is_known(spdx)}
    quotes = dict.fromkeys(words[:_QUOTED_CHARS] for _, words in statements)
    return FileLicence(
        ids=tuple(sorted({*normalise(tuple(stated)), *unknown})),
        evidence="; ".join(map(repr, quotes))[:300],
    )


def _tags(lines: str) -> Iterator[_Statement]:
    for match in _TAG.finditer(lines):
        ids, words = stated_licences(match[1].strip())
        yield ids or (NO_ASSERTION,), f"SPDX-License-Identifier: {words or digest_of(match[1])}"


def _fields(lines: str) -> Iterator[_Statement]:
    for match in _FIELD.finditer(lines):
        ids, words = stated_licences(match["value"].strip())
        yield ids, f"license: {words}"


def _grants(lines: str) -> Iterator[_Statement]:
    along: _Statement = ((), "")
    gnu = False
    for sentence in _SENTENCE.split(lines):
        words = folded(sentence)
        if not may_name(words):
            continue
        copy = _ALONG.search(words)
        along = licences_named(copy[0]) if copy is not None and not along[0] else along
        for grant in _GRANT.finditer(words):
            before = words[: grant.start()].strip()
            if _LEADS.search(before) and not _NO_LEAD.search(before):
                tail = words[grant.end() : grant.end() + _TAIL_CHARS]
                ids, names = licences_named(f"{grant[0]}{tail}", within=len(grant[0]) + 100)
                gnu |= "GPL" in " ".join(ids)
                wording = f"{grant['verb']} under" if grant["verb"] else grant[0]
                yield ids, f"{wording} {names}"
                break
    if not gnu and along[0]:
        # Where the notice names its licence, "a copy of the GNU ..." adds nothing.
        yield along[0], f"a copy of the {along[1]}"
