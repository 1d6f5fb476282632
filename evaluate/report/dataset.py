"""The report on a dataset: what is in it, what is not and why, and samples to read.

Method: counts from manifest and funnel, lengths from the indexes, duplicates from the evidence;
samples are drawn by hash of the seed and the language, so that the same command shows the same.
The code of removed pairs is published nowhere: the caller may hand in a way to find it.
Cost: 0.3 s for 30,000 samples, then about 0.1 s a million and 1 us a removed pair. Memory: 0.5 MB
a language and 8 bytes a near-duplicate. Limits: the page stays under `report_page.MAX_BYTES`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from evaluate.report.duplicates import Removed, duplicates_body, near_duplicates
from evaluate.report.funnel import funnel_body
from evaluate.report.html import (
    Bar,
    Html,
    Page,
    Section,
    bar_table,
    facts_table,
    folded,
    highlighted,
    joined,
    paragraph,
    short,
    table,
    tag,
)
from evaluate.report.lengths import count_lengths, lengths_body
from evaluate.report.settings import flattened
from shards.format import Funnel, Manifest, Sample, SourceFacts, layout, licenses_of, text
from shards.read import Dataset

SAMPLES: Final = 12
_MOST: Final = 40
_PROVENANCE: Final = 60
_DRAWS: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Help:
    """What the caller knows and the dataset does not say."""

    meanings: Mapping[str, str]
    """Of the reasons in funnel and evidence."""
    removed: Removed | None
    """Ids -> the samples that were removed, as far as they are still there; None: nowhere."""
    told: Callable[[str, int, int], None]
    """Hears what is read, how much of it is done, and of how much."""


def dataset_page(dataset: Dataset, help_: Help, *, seed: int = 0, samples: int = SAMPLES) -> Page:
    """The report. `BadIndex`, `DamagedShard`, `UnsafePath`, `FunnelError` or `RemovalsError`
    where the dataset is damaged."""
    manifest = dataset.manifest
    funnel = Funnel.from_json(layout.read_text_file(dataset.path, layout.FUNNEL))
    lengths = count_lengths(dataset, help_.told)
    found = near_duplicates(dataset, seed, help_.told)
    shown = draw(dataset, samples, seed)
    bodies = (
        ("splits", "Languages and splits", _splits(manifest)),
        ("funnel", "The funnel", funnel_body(funnel, help_.meanings)),
        ("licences", "Licences", _licences(manifest)),
        ("lengths", "Lengths", lengths_body(lengths)),
        ("samples", "Samples", _samples(shown, seed)),
        ("duplicates", "Near-duplicates", duplicates_body(dataset, found, help_.removed)),
        ("sources", "Sources and revisions", _sources(manifest)),
    )
    return Page(
        kind="Dataset",
        title=manifest.name,
        facts=_facts(manifest),
        sections=[Section(id=id_, title=title, body=body) for id_, title, body in bodies],
    )


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    size = sum(shard.bytes for shard in manifest.shards)
    return [
        ("samples", f"{manifest.samples:,}"),
        ("languages", f"{len(manifest.languages()):,}"),
        ("tokens of code", f"{manifest.tokens:,}"),
        ("shards", f"{len(manifest.shards):,}"),
        ("MB in tars", f"{size / 1e6:,.1f}"),
        ("pairs removed", f"{manifest.removals:,}"),
    ]


def _splits(manifest: Manifest) -> Html:
    counts = manifest.counts()
    ranked = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
    bars = [
        Bar(name=name, number=f"{total:,}", parts=((total, "kept"),))
        for name in ranked[:_MOST]
        for total in [sum(counts[name].values())]
    ]
    rows = [
        (name, *(f"{counts[name].get(split, 0):,}" for split in layout.SPLITS))
        for name in ranked[:_MOST]
    ]
    total = [sum(held.get(split, 0) for held in counts.values()) for split in layout.SPLITS]
    rows.append(("all languages", *(f"{one:,}" for one in total)))
    rule = manifest.split
    return joined(
        [
            bar_table("Samples of each language", ("language", "samples"), bars),
            table("Samples of each split", ("language", *layout.SPLITS), rows),
            paragraph(
                f"Split by {rule.by} ({rule.reason[:300]}): no {rule.by} stands in two splits. "
                f"Validation {rule.validation:.3g}, test {rule.test:.3g} of them."
            ),
        ]
    )


def _licences(manifest: Manifest) -> Html:
    ranked = sorted(manifest.licenses.items(), key=lambda item: (-item[1], item[0]))
    bars = [
        Bar(name=name, number=f"{count:,}", parts=((count, "kept"),))
        for name, count in ranked[:_MOST]
    ]
    if rest := ranked[_MOST:]:
        count = sum(n for _, n in rest)
        bars.append(Bar(name=f"{len(rest)} others", number=f"{count:,}", parts=((count, "kept"),)))
    note = "A sample with two licences counts for both. ATTRIBUTION.jsonl names each repository's."
    return joined([bar_table("Samples of each licence", ("licence", "samples"), bars),
                   paragraph(note, quiet=True)])  # fmt: skip


def draw(dataset: Dataset, count: int, seed: int) -> list[Sample]:
    """Up to `count` samples, as many of each language as of another, by hash of the seed."""
    held = {
        language: sum(splits.values()) for language, splits in dataset.counts().items()
    }  # fmt: skip
    ranked = sorted(held, key=lambda name: (-held[name], name))[:count]
    if not ranked:
        return []
    shares = {
        name: count // len(ranked) + (place < count % len(ranked))
        for place, name in enumerate(ranked)
    }
    return [
        _at(dataset, language, row)
        for language in sorted(ranked)
        for row in _rows(seed, language, held[language], shares[language])
    ]


def _rows(seed: int, language: str, total: int, wanted: int) -> list[int]:
    rows: dict[int, None] = {}
    for attempt in range(_DRAWS * wanted):
        digest = hashlib.sha256(f"xtrove report {seed} {language} {attempt}".encode()).digest()
        rows[int.from_bytes(digest[:8], "big") % total] = None
        if len(rows) == min(wanted, total):
            break
    return list(rows)


def _at(dataset: Dataset, language: str, row: int) -> Sample:
    for facts in dataset.manifest.shards:
        if facts.language == language:
            if row < facts.samples:
                return dataset.shard(facts).sample(row)
            row -= facts.samples
    raise IndexError(f"row {row} is beyond the {language} samples of the manifest")


def _samples(shown: Sequence[Sample], seed: int) -> Html:
    note = f"Drawn at random with seed {seed}, as many of each language as of another."
    return joined([paragraph(note), *map(_sample, shown)])


def _sample(sample: Sample) -> Html:
    name = text(sample, "name") or "(no name)"
    return tag(
        "article",
        tag("h3", short(name, 120), " ", tag("small", text(sample, "language"), class_="quiet")),
        tag("blockquote", short(text(sample, "query"), 1_000)),
        highlighted(text(sample, "code"), text(sample, "language"), f"Code of {name}"),
        tag("p", origin(sample), class_="quiet"),
    )


def origin(sample: Mapping[str, object]) -> Html:
    """Where a sample is from, its licences and its id."""
    lines = f":{sample['start_line']}-{sample['end_line']}" if sample["start_line"] != -1 else ""
    licences = ", ".join(licenses_of(sample))  # type: ignore[arg-type]
    words = (
        f"{sample['repo']} {sample['path']}{lines} · {licences} · {sample['tokens']} tokens · "
        f"quality {sample['quality']} · "
    )
    return joined([short(words, 600), tag("code", str(sample["id"])[:32])])


def _sources(manifest: Manifest) -> Html:
    rows = [(one.name, one.kind, one.revision or "-") for one in manifest.sources[:_MOST]]
    parts = [table("Sources", ("name", "kind", "revision"), rows, words=(0, 1, 2))]
    parts += [_provenance(one) for one in manifest.sources[:_MOST] if one.provenance]
    if manifest.quarantined:
        broken = [(one.name, one.source, one.reason) for one in manifest.quarantined[:_MOST]]
        title = f"Inputs set aside as corrupt: {len(manifest.quarantined):,}"
        parts.append(table(title, ("input", "source", "why"), broken, words=(0, 1, 2)))
    if gone := manifest.tombstones:
        parts.append(
            paragraph(
                f"{len(gone):,} repositories asked to be forgotten: "
                f"{sum(one.samples for one in gone):,} samples are gone."
            )
        )
    rules = flattened(manifest.dedupe)
    cap = manifest.query_cap
    digests = {
        "content_sha256": manifest.content_sha256,
        "config_digest": manifest.config_digest,
        "query cap": f"{cap.per_repo} a repository, {cap.total} in all",
    }
    parts += [
        facts_table("What identifies it", digests),
        folded("How duplicates were found", facts_table("Settings of the search", rules)),
        folded("Versions", facts_table("Versions of what made it", flattened(manifest.versions))),
    ]
    return joined(parts)


def _provenance(source: SourceFacts) -> Html:
    held = source.provenance
    title = f"Provenance of {source.name[:80]} ({len(held):,})"
    rows = [(name, value) for name, value in held[:_PROVENANCE]]
    rest = len(held) - _PROVENANCE
    more = paragraph(f"{rest:,} more are in manifest.json.") if rest > 0 else Html("")
    return folded(title, table(title, ("what", "revision"), rows, words=(0, 1)), more)
