"""The funnel of a dataset in a report: what was seen, kept and dropped, and why.

Method: `funnel.json` as it stands, over all sources, by language, and by reason for each source
and language; the meaning of a reason comes from the caller, who knows the stages. Cost: none.
Limits: `LANGUAGES` languages and `DETAILS` pairs of source and language, the largest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evaluate.report.html import Bar, Html, bar_table, folded, joined, number, paragraph, table, tag
from shards.format import LEVELS, Funnel, Level

LANGUAGES: Final = 40
DETAILS: Final = 40
_REASONS: Final = 25
_NAME: Final = 80
_BREAK: Final = Html("<wbr>")


def funnel_body(funnel: Funnel, meanings: Mapping[str, str]) -> Html:
    """The section."""
    totals = funnel.totals()
    parts = [
        paragraph(
            "Files hold functions, a function with documentation is a pair; what was dropped is "
            "counted under the first rule that it broke."
        ),
        *(_level(level, totals[level], meanings) for level in LEVELS),
        _languages(funnel),
    ]
    return joined([*parts, *_details(funnel, meanings)])


def _level(name: str, held: Level, meanings: Mapping[str, str]) -> Html:
    bars = [Bar(name="kept", number=f"{held.kept:,}", parts=((held.kept, "kept"),))]
    ranked = sorted(held.dropped.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ranked[:_REASONS]:
        bars.append(
            Bar(name=_reason(reason, meanings), number=f"{count:,}", parts=((count, "dropped"),))
        )
    if rest := ranked[_REASONS:]:
        count = sum(one for _, one in rest)
        parts = ((count, "dropped"),)
        bars.append(Bar(name=f"{len(rest)} other reasons", number=f"{count:,}", parts=parts))
    return bar_table(
        f"{name.capitalize()}: {held.seen:,} seen", ("what became of them", name), bars
    )


def _reason(reason: str, meanings: Mapping[str, str]) -> Html:
    told = meanings.get(reason, "")
    words = reason[:_NAME].split("_")
    # A narrow screen breaks a name behind its lines rather than within a word.
    name = joined([joined([f"{one}_", _BREAK]) for one in words[:-1]] + [words[-1]])
    return joined([name, tag("small", told) if told else ""])


def _by_language(funnel: Funnel) -> dict[str, dict[str, Level]]:
    found: dict[str, dict[str, Level]] = {}
    for (_, language, level), held in funnel.levels.items():
        levels = found.setdefault(language, {name: Level() for name in LEVELS})
        levels[level].merge(held)
    return found


def _languages(funnel: Funnel) -> Html:
    found = _by_language(funnel)
    ranked = sorted(found, key=lambda name: (-found[name]["pairs"].kept, name))
    rows, bars = [], []
    for language in ranked[:LANGUAGES]:
        pairs = found[language]["pairs"]
        bars.append(
            Bar(
                name=language or "(unknown)",
                number=f"{pairs.kept:,} of {pairs.seen:,}",
                parts=((pairs.kept, "kept"), (pairs.seen - pairs.kept, "dropped")),
            )
        )
        cells = [language or "(unknown)"]
        for level in LEVELS:
            held = found[language][level]
            cells += [f"{held.seen:,}", f"{held.kept:,}"]
        cells.append(number(round(pairs.kept / pairs.seen, 3), percent=True) if pairs.seen else "-")
        rows.append(cells)
    header = [f"{level} {word}" for level in LEVELS for word in ("seen", "kept")]
    left_out = len(ranked) - LANGUAGES
    return joined(
        [
            bar_table("Pairs of each language: kept, then dropped", ("language", "kept"), bars),
            table("The funnel of each language", ("language", *header, "pairs kept"), rows),
            paragraph(f"{left_out} languages with fewer pairs are left out.")
            if left_out > 0
            else "",
        ]
    )


def _details(funnel: Funnel, meanings: Mapping[str, str]) -> list[Html]:
    """What each source and language dropped, folded."""
    seen = {
        key: sum(funnel.levels.get((*key, level), Level()).seen for level in LEVELS)
        for key in {key[:2] for key in funnel.levels}
    }
    ranked = sorted(seen, key=lambda key: (-seen[key], key))
    made = []
    for source, language in ranked[:DETAILS]:
        held = [(level, funnel.levels.get((source, language, level), Level())) for level in LEVELS]
        tables = [_level(level, counts, meanings) for level, counts in held if counts.seen]
        made.append(folded(f"{source[:80]}, {language or '(unknown)'}: all reasons", *tables))
    if len(ranked) > DETAILS:
        made.append(paragraph(f"{len(ranked) - DETAILS} more are in funnel.json."))
    return made
