"""A commit message as somebody would ask for the change, or why it is no such question.

Method: trailers, issue numbers, mirrors' marks and the type of a conventional commit are cut off;
what is left is the first line and, where there is one, the first paragraph of prose. Then rules
refuse bots, reverts, releases, dependency bumps, housekeeping and what names nothing: a message
that would fit any function teaches a model to find any function.
Cost: some 20 us a message. Limits: the rules know English; a vague message in plain words passes.
"""

from __future__ import annotations

import re

from xtrove.core import XtroveError

MAX_MESSAGE_CHARS = 20_000
"""Of a message that is looked at: the rest is logs and lists."""
MAX_PARAGRAPH_CHARS = 500
MIN_WORDS = 3
MIN_CONTENT_WORDS = 2

REASONS = {
    "commit_by_bot": "the author is a program",
    "commit_reverts": "the commit takes another one back, or joins branches",
    "commit_releases": "a release, a version or a change log",
    "commit_bumps_dependency": "a dependency, or the tools of the project",
    "commit_keeps_house": "format, style, comments, documentation, tests or moved files",
    "commit_names_nothing": "too few words that say what was changed",
}
"""Why a message is no question, with one line of meaning."""

_BOT = re.compile(
    r"\[bot\]|\bbot\b|dependabot|renovate|greenkeeper|snyk|pre-commit|travis|github[ -]actions?"
    r"|jenkins|semantic-release|imgbot|codecov|copybara|weblate|transifex|styleci|scrutinizer",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    r"(?:[A-Z][A-Za-z]{0,20}(?:-[A-Za-z]{1,20}){1,4}|git-svn-id|Reviewers?|Approved|Tested|PiperOrigin-RevId"
    r"|Fixes|Fixed|Closes|Closed|Resolves|Refs?|See|Issues?|BUG|Bug|Test|Change)[:=]? ?.*"
    r"|\(?cherry picked from .*|-{3}.*|https?://\S+|\[?ci skip\]?|\[?skip ci\]?",
)
_ISSUE = (
    r"(?:(?:GH|gh|PR|pr|issue|Issue|bug|Bug)[- ]?)?#\d{1,9}|(?:GH|gh)-\d{1,9}"
    r"|[A-Z][A-Z0-9]{1,9}-\d{1,9}"
)
_ISSUE_TAIL = re.compile(
    rf"[\s,;:.(\[-]{{0,4}}\b(?:clos|fix|resolv|ref|see|address)(?:e?[sd]|ing|erences?)?:?\s{{1,3}}"
    rf"(?:{_ISSUE})(?:[\s,]{{1,3}}(?:and\s{{1,3}})?(?:{_ISSUE})){{0,3}}[)\].]{{0,3}}",
    re.IGNORECASE,
)
_ISSUE_ALONE = re.compile(rf"\s{{0,3}}[(\[]?(?:{_ISSUE})[)\]]?(?=[\s.,;:)]|$)")
_ISSUE_HEAD = re.compile(
    rf"(?:fix(?:e[sd])?|clos(?:e[sd]?)|refs?)?\s{{0,3}}[(\[]?(?:{_ISSUE})[)\]]?[\s:,\u2013-]{{1,6}}",
    re.IGNORECASE,
)
_TYPE = re.compile(
    r"(?P<type>feat|feature|fix|bugfix|hotfix|perf|refactor|chore|docs?|style|tests?|build|ci|deps"
    r"|release|security)(?:\((?P<scope>[\w./ ,@*-]{1,40})\))?!?:\s+",
    re.IGNORECASE,
)
_HOUSE_TYPES = frozenset(
    {"chore", "doc", "docs", "style", "test", "tests", "build", "ci", "release", "deps"}
)
_TAG_HEAD = re.compile(
    r"\[[^\]\n]{1,30}\]\s*|:\w{2,20}:\s*|[\U0001F300-\U0001FAFF\u2600-\u27BF]\ufe0f?\s*"
)
_REVERT = re.compile(r"revert(?:s|ed|ing)?\b|merged?\b|back(?:ed)? out\b|undo\b|unmerge\b", re.I)
_RELEASE = re.compile(
    r"v?\d{1,9}\.\d{1,9}[\w.]{0,30}(?:\s|$)|(?:re)?releas(?:e|es|ed|ing)\b"
    r"|(?:prepar(?:e|es|ed|ing)|tag(?:ged)?|cut|start(?:ing)?)\b.{0,30}"
    r"\b(?:release|version|development|iteration|\d+\.\d+)"
    r"|.{0,40}\b(?:changelog|change log|release notes?|news file|upgrading\.md|history\.\w+)\b"
    r"|(?:bump|increment|incr|increase|set|updat(?:e|ed)|chang(?:e|ed))\b.{0,20}\bversion\b"
    r"|version (?:bump|number|\d)|bump(?:ed|s|ing)? (?:to )?v?\d",
    re.IGNORECASE,
)
_DEPENDENCY = re.compile(
    r"(?:bump|upgrad|updat|pin|unpin|lock|depend)\w{0,12}\b.{0,60}"
    r"(?:\bdep(?:endenc(?:y|ies)|s)?\b|\brequirements?\b|\bfrom v?\d|\bto v?\d+\.\d|\blockfile\b"
    r"|\bpackage(?:s|\.json|-lock)|\bgemfile|\bcargo\.|\bcomposer\.|\bgo\.mod|\bgradle|\bmaven"
    r"|\bnpm\b|\bpip\b|\bsubmodules?\b|\bjquery\b|\bvendor\w*)"
    r"|(?:travis|appveyor|github actions?|workflows?|ci|circleci|codecov|docker\w*|makefile)\b",
    re.IGNORECASE,
)
_SMALL = (
    r"(?:(?:some|a|an|the|few|small|minor|more|missing|unused|broken|wrong|new|other|tiny|trivial"
    r"|various|misc\.?|in|of|for|code|source|unit|integration|failing|all|also)\s{1,3}){0,5}"
)
_HOUSE = re.compile(
    rf"{_SMALL}(?:(?:fix|correct|updat|add|improv|remov|clean|chang|tweak|mov|appl|r[au]n|format"
    r"|delet|extend|expand|us|drop|ignor|silenc|disabl|enabl)(?:e|ed|es|s|ing|y|ies|ied)?"
    rf"(?: up)?\s+)?{_SMALL}"
    r"(?:(?:typo|misspell|white ?space|indent|formatting|lint|cosmetic|phpdoc|jsdoc|readme"
    r"|rubocop|docblock|docstring|licen[sc]e|copyright|cspell|clippy|checkstyle|eslint|prettier"
    r"|phpstan|psalm|pylint|tslint|flake8|isort|gofmt|rustfmt|mypy|codestyle|gitignore)\w*"
    r"|spelling|grammar|wording|code ?style|coding (?:style|standards?)|pep-?8|go (?:fmt|vet)"
    r"|cargo fmt|javadocs?|rdocs?|yard docs?|docs?|documentation|tests?|specs?|test ?cases?"
    r"|benchmarks?|nits?|style|coverage|blank lines?|trailing (?:spaces?|commas?)|line endings?)\b"
    rf"|{_SMALL}(?:(?:fix|remov|add|clean|updat|organi[sz]|sort|chang|silenc|us)(?:e|ed|es|s|ing)?"
    rf"(?: up)?\s+)?{_SMALL}(?:comments?|headers?|imports?|warnings?|examples?|semicolons?|todos?"
    r"|cs|files?|variables?(?: names?)?|names?|code)\s*$"
    r"|(?:wip|clean(?:ed|ing|s)?[ -]?up|cleanups?|tidy|polish\w*|refactor\w*|renam(?:e|ed|es|ing)"
    r"|re-?organi[sz]\w*|restructur\w*|modernis\w*|moderniz\w*|code (?:review|cleanup)"
    r"|review (?:comments?|feedback)|address(?:ed|es)? (?:review|comments?|feedback|pr)"
    r"|mov(?:e|ed|es|ing) (?:to|from|files?|code|into)|initial (?:commit|import)|first commit"
    r"|oops|whoops|nit\b|typo\b|lint\b)",
    re.IGNORECASE,
)
_VAGUE = frozenset(
    """
    a add added adding adds again all also an and another are as at be better bug bugfix
    bugfixes bugs by can change changed changes changing class classes clean cleanup code
    commit correct correctly could did do does done error errors few file files first fix
    fixed fixes fixing for from function functions get had handle has have i if improve
    improved improvement improves in initial into is issue issues it its just little made make
    makes method methods minor more my new no not now of old on or other our out part patch
    per problem problems properly remove removed removes should small so some stuff support
    test tests than that the then these thing things this those to tweak tweaks typo up update
    updated updates updating use used uses various version via was we when with work working
    works you
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_IDENTIFIER = re.compile(r"[a-z\d][A-Z]|[A-Z]{2}[a-z]{2}|\w_\w")
_SENTENCE_END = re.compile(r"[.!?][)\"'`]?(?=\s|$)")
_PROSE = re.compile(r"[A-Z'\"`(]?\w")


class BadMessage(XtroveError, ValueError):
    """A message is no question; `message` is a key of `REASONS`."""


def clean_message(message: str, author: str = "") -> str:
    """The question in a commit message. Raises `BadMessage`.

    `author`: name and address, looked at to tell programs from people.
    """
    if author and _BOT.search(author):
        raise BadMessage("commit_by_bot")
    paragraphs = _paragraphs(message[:MAX_MESSAGE_CHARS])
    subject = " ".join(paragraphs[0]) if paragraphs else ""
    if _REVERT.match(subject):
        raise BadMessage("commit_reverts")
    subject, kind = _bare(subject)
    if kind in _HOUSE_TYPES:
        raise BadMessage("commit_keeps_house")
    for pattern, reason in (
        (_REVERT, "commit_reverts"),
        (_RELEASE, "commit_releases"),
        (_DEPENDENCY, "commit_bumps_dependency"),
        (_HOUSE, "commit_keeps_house"),
    ):
        if pattern.match(subject):
            raise BadMessage(reason)
    words = _WORD.findall(subject)
    content = {word.lower() for word in words if word.lower() not in _VAGUE and len(word) > 1}
    names_code = any(_IDENTIFIER.search(word) for word in words)
    if not names_code and (len(words) < MIN_WORDS or len(content) < MIN_CONTENT_WORDS):
        raise BadMessage("commit_names_nothing")
    prose = _prose(paragraphs[1:])
    if not prose:
        return subject
    return f"{subject}{'' if subject[-1] in '.!?:' else '.'} {prose}"


def _paragraphs(message: str) -> list[list[str]]:
    """The paragraphs, each a list of lines without trailers; the first is the subject's line."""
    lines = [line.strip() for line in message.replace("\r", "\n").strip().split("\n")]
    paragraphs: list[list[str]] = [[lines[0]], []]
    for line in lines[1:]:
        if not line:
            paragraphs.append([])
        elif not _TRAILER.fullmatch(line):
            paragraphs[-1].append(line)
    return [paragraph for paragraph in paragraphs if any(paragraph)]


def _bare(subject: str) -> tuple[str, str]:
    """The subject without what is for the project's tools, and its conventional type or ""."""
    kind = ""
    for _ in range(4):
        before = subject
        subject = _TAG_HEAD.sub("", subject, count=1) if _TAG_HEAD.match(subject) else subject
        if match := _ISSUE_HEAD.match(subject):
            subject = subject[match.end() :]
        if match := _TYPE.match(subject):
            kind, subject = match["type"].lower(), subject[match.end() :]
        if subject == before:
            break
    subject = _ISSUE_ALONE.sub("", _ISSUE_TAIL.sub("", subject))
    return subject.strip(" \t-:;,").removesuffix("...").strip(), kind


def _prose(paragraphs: list[list[str]]) -> str:
    """The first paragraph if it is prose: no list, no code, no quotation; whole sentences."""
    if not paragraphs or not _PROSE.match(paragraphs[0][0]):
        return ""
    lines = paragraphs[0]
    if any(line.startswith(("* ", "- ", "+ ", "> ", "$ ", "```", "#", "|")) for line in lines):
        return ""
    text = _ISSUE_TAIL.sub("", " ".join(lines))
    if len(text.split()) < MIN_WORDS or sum(c in "{}();=<>\\/|" for c in text) * 12 > len(text):
        return ""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, MAX_PARAGRAPH_CHARS)]
    text = text[: ends[-1]] if ends else ""
    return text.strip()
