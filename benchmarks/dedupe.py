"""The dedupe alone: functions a second, beside brute force on a sample and datatrove's MinHash.

`python benchmarks/dedupe.py [--data DIR] [--functions N] [--sample N] [--datatrove PYTHON]` takes
every function (documented or not, 50 to 8,000 characters; the first N of them with --functions) of
the rows of The Stack v1 (default: $XTROVE_DATA/the-stack) whose licence passes, and decides them
in memory, without Ray, in one process, by the functions the stages of the build call: fingerprint,
bands, verify, select. Query caps and quotas are off. Seconds are processor time.
The sample is all functions of names drawn at random until there are enough: copies mostly keep
their names, so it is dense in duplicates. On it the dedupe and the peers are held against
brute force over token tuples (`recall.py`), language by language: a removal is false when no kept
function is its exact or near-duplicate, a kept function is missed when an earlier kept one is.
PYTHON (or $XTROVE_DATATROVE_PYTHON) is that of an environment with datatrove 0.10 (and spaCy, for
its default tokenizer); without one it is left out. It hashes words and does not verify, so that
its false and missed ones, counted by our measure, say how far the rules are apart, not
that it does badly what it sets out to do. Cost: about two minutes, three quarters of it the
peer. Exit 2: no data.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rooms_first  # noqa: F401
from build import default_data
from recall import BATCH, BruteForce, select_by_code
from rich.console import Console
from rich.table import Table
from stack_files import slices

from dedupe import (
    BAND_ROW,
    KEPT,
    DedupeOptions,
    Fingerprint,
    Items,
    candidates,
    edges,
    exact_words,
    fingerprints,
)
from extract import FilterOptions
from extract.parsing import FunctionsError, functions

OPTIONS = DedupeOptions()
LENGTHS = FilterOptions()
PEER_SECONDS = 1800
TOKENIZERS = ("default", "regex")


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """One function."""

    language: str
    name: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """What one tool made of a corpus."""

    tool: str
    kept: list[bool]
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> processor time."""

    @property
    def total(self) -> float:
        """All steps."""
        return sum(self.seconds.values())


def corpus(data: Path, limit: int) -> list[Code]:
    """The functions, in rank order."""
    result: list[Code] = []
    for language, files in slices(data):
        for file in files:
            try:
                held = functions(language, file.path, file.content, want_undocumented=True)
            except FunctionsError:
                continue
            for function in held.functions:
                if LENGTHS.min_code_chars <= len(function.code) <= LENGTHS.max_code_chars:
                    result.append(Code(language=language, name=function.name, text=function.code))
            if limit and len(result) >= limit:
                return result[:limit]
    return result


def decide(codes: Sequence[Code]) -> Decided:
    """By the functions that the stages of the build call; the position is the rank."""
    seconds: dict[str, float] = {}
    start = time.process_time()
    prints: list[Fingerprint] = []
    for at in range(0, len(codes), BATCH):
        batch = [(code.language, code.text, "") for code in codes[at : at + BATCH]]
        prints.extend(fingerprints(batch, OPTIONS))
    start = _lap(seconds, "fingerprint", start)
    exact = exact_words([fingerprint.exact_key for fingerprint in prints])
    seen: set[bytes] = set()
    first = []
    for place, one in enumerate(prints):
        if one.tokens >= OPTIONS.min_tokens and one.exact_key not in seen:
            seen.add(one.exact_key)
            first.append(place)
    rows = np.empty(len(first) * OPTIONS.bands, dtype=BAND_ROW)
    if first:
        rows["key"] = np.concatenate([prints[place].band_keys for place in first])
    rows["item"] = np.repeat(np.array(first, dtype=np.uint64), OPTIONS.bands)
    rows["exact"] = exact[rows["item"].astype(np.int64), 0]
    pairs = candidates(rows, np.ones(len(rows), dtype=np.uint64))
    start = _lap(seconds, "bands", start)
    result = edges(pairs, lambda item: prints[item].shingles, OPTIONS.threshold)
    start = _lap(seconds, "verify", start)
    count = len(codes)
    items = Items(
        item=np.arange(count, dtype=np.uint64),
        exact=exact,
        query_group=np.arange(count, dtype=np.uint64),
        repo=np.zeros(count, dtype=np.uint64),
        quota=np.full(count, -1, dtype=np.int32),
        name=np.ones(count, dtype=np.uint64),
        tokens=np.array([fingerprint.tokens for fingerprint in prints], dtype=np.uint32),
    )
    decisions = select_by_code(items, result, OPTIONS)
    _lap(seconds, "select", start)
    return Decided(tool="xtrove", kept=(decisions.reason == KEPT).tolist(), seconds=seconds)


def _lap(seconds: dict[str, float], step: str, start: float) -> float:
    now = time.process_time()
    seconds[step] = now - start
    return now


def ask_datatrove(
    python: str, tokenizer: str, codes: Sequence[Code], console: Console
) -> Decided | None:
    """The peer's decision, or None where its environment lacks something; the console says what."""
    script = Path(__file__).with_name("dedupe_child.py")
    with tempfile.TemporaryDirectory(prefix="xtrove-datatrove-") as name:
        folder = Path(name)
        texts, answer = folder / "texts.json", folder / "answer.json"
        texts.write_text(json.dumps([code.text for code in codes]), encoding="utf-8")
        command = [python, "-P", str(script), str(texts), str(answer), tokenizer, str(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PEER_SECONDS, check=False
        )
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            console.print(f"datatrove, {tokenizer} tokenizer: left out: {last}", highlight=False)
            return None
        output: dict[str, Any] = json.loads(answer.read_bytes())
    kept = set(output["kept"])
    return Decided(
        tool=f"datatrove, {tokenizer} tokenizer",
        kept=[number in kept for number in range(len(codes))],
        seconds=output["seconds"],
    )


def sample_of(codes: Sequence[Code], wanted: int, seed: int) -> list[int]:
    """Places of all functions of random names, at least `wanted` of them, ascending."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, code in enumerate(codes):
        places[code.language, code.name].append(place)
    names = sorted(places)
    random.Random(seed).shuffle(names)
    chosen: list[int] = []
    for name in names:
        if len(chosen) >= wanted:
            break
        chosen += places[name]
    return sorted(chosen)


class Truth:
    """Brute force over a sample, a language at a time: functions of two are never duplicates."""

    def __init__(self, codes: Sequence[Code]) -> None:
        self._parts: list[tuple[list[int], BruteForce, BruteForce]] = []
        for language in sorted({code.language for code in codes}):
            places = [at for at, code in enumerate(codes) if code.language == language]
            texts = [codes[at].text for at in places]
            forward = BruteForce(texts, OPTIONS, language)
            self._parts.append((places, forward, BruteForce(texts[::-1], OPTIONS, language)))

    def removed(self) -> int:
        """How many greedy keep-first removes."""
        return sum(sum(forward.greedy()) for _, forward, _ in self._parts)

    def judge(self, kept: Sequence[bool]) -> tuple[int, int]:
        """(false removals, missed ones) of a decision."""
        false = missed = 0
        for places, forward, backward in self._parts:
            mine = [kept[at] for at in places]
            before = forward.has_earlier(mine)
            after = backward.has_earlier(mine[::-1])[::-1]
            for held, earlier, later in zip(mine, before, after, strict=True):
                missed += held and earlier
                false += not held and not earlier and not later
        return false, missed


def speed_table(decided: Sequence[Decided], codes: Sequence[Code]) -> Table:
    """Functions a second, step by step."""
    size = sum(len(code.text.encode("utf-8", "replace")) for code in codes)
    table = Table(title=f"{len(codes):,} functions, {size / 1e6:.1f} MB, one process")
    for heading in ("tool", "seconds", "functions/s", "MB/s", "x", "removed", "steps, s"):
        table.add_column(heading, justify="left" if heading in ("tool", "steps, s") else "right")
    for one in decided:
        steps = ", ".join(f"{name} {seconds:.2f}" for name, seconds in one.seconds.items())
        table.add_row(
            one.tool,
            f"{one.total:.2f}",
            f"{len(codes) / one.total:,.0f}",
            f"{size / 1e6 / one.total:.1f}",
            f"{decided[-1].total / one.total:.1f}",
            f"{one.kept.count(False):,}",
            steps,
        )
    table.caption = "x: speed as a multiple of the last line's"
    return table


def truth_table(decided: Sequence[Decided], codes: Sequence[Code]) -> Table:
    """False and missed removals on the sample."""
    truth = Truth(codes)
    table = Table(
        title=f"sample of {len(codes):,} functions; brute force at {OPTIONS.threshold} removes "
        f"{truth.removed():,}"
    )
    for heading in ("tool", "removed", "false", "missed"):
        table.add_column(heading, justify="left" if heading == "tool" else "right")
    for one in decided:
        false, missed = truth.judge(one.kept)
        table.add_row(one.tool, f"{one.kept.count(False):,}", f"{false:,}", f"{missed:,}")
    return table


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, help="a folder of The Stack v1")
    parser.add_argument("--functions", type=int, default=0, help="only so many; 0 for all")
    parser.add_argument("--sample", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--datatrove", default=os.environ.get("XTROVE_DATATROVE_PYTHON", ""))
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    data = arguments.data or default_data()
    if data is None:
        console.print("skipped: XTROVE_DATA is not set or has no the-stack/; give --data DIR")
        return 2
    codes = corpus(data, arguments.functions)
    sample = [codes[place] for place in sample_of(codes, arguments.sample, arguments.seed)]
    whole, parts = [decide(codes)], [decide(sample)]
    for tokenizer in TOKENIZERS if arguments.datatrove else ():
        for chosen, results in ((codes, whole), (sample, parts)):
            result = ask_datatrove(arguments.datatrove, tokenizer, chosen, console)
            if result is None:
                break
            results.append(result)
    if not arguments.datatrove:
        console.print("datatrove: left out, neither --datatrove nor $XTROVE_DATATROVE_PYTHON")
    console.print(speed_table(whole, codes))
    console.print(truth_table(parts, sample))
    return 0


if __name__ == "__main__":
    sys.exit(main())
