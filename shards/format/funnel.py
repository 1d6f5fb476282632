"""funnel.json: how many were seen, dropped (by named reason) and kept, and that it adds up.

Three levels for each source and language: files (rows for a `pairs` source), functions, pairs.
Funnels of slices are merged by addition: associative and commutative, so that the result does
not depend on the number of workers. "" is the language of rows whose language is unknown.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from xtrove.core import DamagedData

LEVELS: Final = ("files", "functions", "pairs")
FUNNEL_FORMAT: Final = "xtrove-funnel-1"
SYNTAX_ERRORS: Final = "with_syntax_errors"
"""Noted of files: their grammar does not accept them, so that functions may be missing."""


@dataclass(kw_only=True, slots=True)
class Level:
    """Counts of one level."""

    seen: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    """What is worth knowing of what was kept; no part of the sum."""

    def merge(self, other: Level) -> None:
        """Adds the other's counts to these."""
        self.seen += other.seen
        self.kept += other.kept
        self.dropped.update(other.dropped)
        self.noted.update(other.noted)

    def plain(self) -> dict[str, object]:
        """Values for JSON; reasons that count nothing are left out."""
        dropped = {reason: n for reason, n in sorted(self.dropped.items()) if n}
        noted = {name: n for name, n in sorted(self.noted.items()) if n}
        plain: dict[str, object] = {"seen": self.seen, "dropped": dropped, "kept": self.kept}
        return {**plain, "noted": noted} if noted else plain


Key = tuple[str, str, str]
"""Source, language, level."""


@dataclass(kw_only=True, slots=True)
class Funnel:
    """Counts of a slice, a source or a whole build."""

    levels: dict[Key, Level] = field(default_factory=dict)

    def at(self, source: str, language: str, level: str) -> Level:
        """The counts of one level, made when first asked for."""
        if level not in LEVELS:
            raise ValueError(f"level {level!r} is none of {', '.join(LEVELS)}")
        return self.levels.setdefault((source, language, level), Level())

    def add(
        self, source: str, language: str, level: str, *, reason: str = "", count: int = 1
    ) -> None:
        """Counts something seen: dropped for the reason, or kept where there is none."""
        if count < 0:
            raise ValueError(f"count {count} of {source}/{language}/{level} is negative")
        counts = self.at(source, language, level)
        counts.seen += count
        if reason:
            counts.dropped[reason] += count
        else:
            counts.kept += count

    def drop_kept(
        self, source: str, language: str, level: str, *, reason: str, count: int = 1
    ) -> None:
        """Moves what an earlier stage kept to dropped (dedupe, query cap, quota)."""
        counts = self.at(source, language, level)
        if count > counts.kept:
            raise ValueError(
                f"{source}/{language}/{level}: {count} cannot be dropped as {reason!r}, "
                f"only {counts.kept} are kept"
            )
        counts.kept -= count
        counts.dropped[reason] += count

    def merge(self, other: Funnel) -> None:
        """Adds another funnel to this one."""
        for (source, language, level), counts in other.levels.items():
            self.at(source, language, level).merge(counts)

    def kept_pairs(self) -> int:
        """Pairs that end in the shards."""
        return sum(counts.kept for (_, _, level), counts in self.levels.items() if level == "pairs")

    def totals(self) -> dict[str, Level]:
        """Each level over all sources and languages."""
        totals = {level: Level() for level in LEVELS}
        for (_, _, level), counts in self.levels.items():
            totals[level].merge(counts)
        return totals

    def check(self) -> list[str]:
        """What does not add up; empty for a sound funnel."""
        wrong: list[str] = []
        for (source, language, level), counts in sorted(self.levels.items()):
            name = f"{source}/{language or '(unknown)'}/{level}"
            if (
                min(counts.seen, counts.kept, *counts.dropped.values(), *counts.noted.values(), 0)
                < 0
            ):
                wrong.append(f"{name}: a count is negative")
            dropped = counts.dropped.total()
            if counts.seen != dropped + counts.kept:
                wrong.append(
                    f"{name}: {counts.seen} seen, but {dropped} dropped + {counts.kept} kept"
                )
        for source, language in sorted({key[:2] for key in self.levels}):
            wrong.extend(self._check_chain(source, language))
        return wrong

    def _check_chain(self, source: str, language: str) -> list[str]:
        name = f"{source}/{language or '(unknown)'}"
        files, functions, pairs = (
            self.levels.get((source, language, level), Level()) for level in LEVELS
        )
        wrong = []
        if functions.kept != pairs.seen:
            wrong.append(f"{name}: {functions.kept} functions kept, but {pairs.seen} pairs seen")
        if functions.seen and not files.kept:
            wrong.append(f"{name}: {functions.seen} functions seen in no kept file")
        return wrong

    def to_json(self) -> bytes:
        """Canonical JSON with totals: keys sorted, indented, newline at the end."""
        sources: dict[str, dict[str, dict[str, object]]] = {}
        for source, language in sorted({key[:2] for key in self.levels}):
            sources.setdefault(source, {})[language] = {
                level: self.levels.get((source, language, level), Level()).plain()
                for level in LEVELS
            }
        totals = {level: counts.plain() for level, counts in self.totals().items()}
        document = {"format": FUNNEL_FORMAT, "sources": sources, "totals": totals}
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1)
        return text.encode("utf-8") + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Funnel:
        """Reads `to_json` back. `DamagedData` where the totals differ or it is something else."""
        funnel = cls()
        try:
            document = json.loads(data.decode("utf-8"))
            if document["format"] != FUNNEL_FORMAT:
                raise DamagedData(f"format {document['format']!r} is not {FUNNEL_FORMAT!r}")
            for source, languages in document["sources"].items():
                for language, levels in languages.items():
                    for level, counts in levels.items():
                        funnel.at(source, language, level).merge(_level(counts))
            totals = {name: _level(counts) for name, counts in document["totals"].items()}
        except DamagedData:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedData(f"no funnel can be read from it: {error}") from error
        if totals != funnel.totals():
            raise DamagedData("the totals are not the sums of the sources")
        return funnel


def _level(counts: dict[str, object]) -> Level:
    dropped, noted = counts["dropped"], counts.get("noted", {})
    known = counts.keys() - {"noted"} == {"seen", "dropped", "kept"}
    if not known or not isinstance(dropped, dict) or not isinstance(noted, dict):
        raise DamagedData(f"a level holds {sorted(counts)}, should hold dropped, kept, seen")
    return Level(
        seen=_count(counts["seen"]),
        kept=_count(counts["kept"]),
        dropped=Counter({str(reason): _count(n) for reason, n in dropped.items()}),
        noted=Counter({str(name): _count(n) for name, n in noted.items()}),
    )


def _count(value: object) -> int:
    if type(value) is not int:
        raise DamagedData(f"{value!r} is no count")
    return value
