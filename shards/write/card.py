"""README.md: the dataset card, a pure function of the manifest and the funnel.

The YAML front matter gives one config a language and `default` with all of them, each with its
Parquet files, declared features and sample counts, so that `load_dataset(path, "python")`
yields exactly the manifest's samples and fails where a file is missing. Tables are rendered by
functions of their own, so that the checker can look for each of them in the card. No time, host
or local path enters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import yaml

from dedupe import RULE_VERSION
from shards.format import (
    LEVELS,
    LIST_FIELDS,
    NUMBER_FIELDS,
    Funnel,
    Manifest,
    fields_of,
    layout,
)
from shards.write import card_text
from shards.write.terms import is_gated, terms_of

DEFAULT: Final = "default"
_SIZES: Final = (
    *((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")),
    *((10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B")),
    *((10**11, "10B<n<100B"), (10**12, "100B<n<1T")),
)
_LICENSE_ROWS: Final = 40


def size_category(samples: int) -> str:
    """The Hub's size category of a number of samples."""
    return next((name for limit, name in _SIZES if samples < limit), "n>1T")


def config_names(manifest: Manifest) -> dict[str, list[str]]:
    """Config name -> its languages; `default` holds all. None where there are no samples."""
    languages = manifest.languages()
    if not languages:
        return {}
    return {DEFAULT: languages, **{language: [language] for language in languages}}


def front_matter(manifest: Manifest) -> dict[str, object]:
    """The YAML block of the card."""
    configs, infos = [], []
    for name, languages in config_names(manifest).items():
        files, splits = [], []
        for split in layout.SPLITS:
            shards = [s for s in manifest.shards if s.split == split and s.language in languages]
            if shards:
                folder = "*" if name == DEFAULT else name
                files.append({"split": split, "path": f"parquet/{folder}/{split}-*.parquet"})
                samples = sum(s.samples for s in shards)
                # `datasets` ignores a split without num_bytes, and does not check its value.
                size = sum(s.bytes for s in shards)
                splits.append({"name": split, "num_bytes": size, "num_examples": samples})
        configs.append({"config_name": name, "data_files": files})
        infos.append(
            {"config_name": name, "features": _features(manifest.version), "splits": splits}
        )
    head: dict[str, object] = {
        "pretty_name": manifest.name,
        "license": "other",
        "license_name": "per-sample",
        "license_link": layout.ATTRIBUTION,
        "language": ["code"],
        "task_categories": ["text-retrieval"],
        "tags": ["code", "code-search", "webdataset"],
        "size_categories": [size_category(manifest.samples)],
        "configs": configs,
        "dataset_info": infos,
    }
    if is_gated(manifest):
        head |= card_text.gate(manifest)
    return head


def _features(version: int) -> list[dict[str, str]]:
    features = []
    for name in fields_of(version):
        if name in LIST_FIELDS:
            features.append({"name": name, "sequence": "string"})
        else:
            dtype = "int64" if name in NUMBER_FIELDS else "string"
            features.append({"name": name, "dtype": dtype})
    return features


def render_card(manifest: Manifest, funnel: Funnel) -> bytes:
    """The whole card."""
    head = yaml.safe_dump(front_matter(manifest), sort_keys=False, allow_unicode=True, width=10_000)
    body = [
        f"# {_cell(manifest.name)}",
        f"{manifest.samples:,} pairs of a query and the function that answers it, "
        f"{manifest.tokens:,} lexical tokens of code, in {len(manifest.shards):,} shards.",
        "## Samples",
        _plot("Samples by language and split", layout.PLOTS[1]),
        samples_table(manifest),
        _split_text(manifest),
        "## Licences",
        "Every sample names its licences in `licenses` and what proves them in "
        "`license_evidence`; `ATTRIBUTION.jsonl` lists every repository.",
        _plot("Samples by licence", layout.PLOTS[2]),
        licenses_table(manifest),
        "## Sources",
        sources_table(manifest),
        card_text.provenance(manifest),
        "## From input to samples",
        _plot("What was seen, dropped and kept", layout.PLOTS[0]),
        funnel_table(funnel),
        f"Each of the {manifest.removals:,} removed pairs stands in `removals/` with its reason "
        "and, for a duplicate, the kept pair it repeats.",
        "## Duplicates",
        rule_text(manifest),
        dedupe_table(manifest),
        _cap_text(manifest),
        "## Loading",
        card_text.loading(manifest),
        "## Known limits",
        card_text.limits(manifest),
        "## Citation",
        card_text.citation(manifest),
    ]
    if manifest.tombstones:
        body += ["## Forgotten", forgotten_text(manifest)]
    if is_gated(manifest):
        body += ["## Terms", card_text.terms(manifest)]
    text = "\n\n".join(part for part in body if part)
    return f"---\n{head}---\n{text}\n".encode()


def _plot(what: str, path: str) -> str:
    return f"![{what}]({path})"


def samples_table(manifest: Manifest) -> str:
    """Samples by language and split."""
    rows: list[list[str | int]] = []
    counts = manifest.counts()
    for language, splits in counts.items():
        numbers = [splits.get(split, 0) for split in layout.SPLITS]
        rows.append([language, *numbers, sum(numbers)])
    sums = [sum(c.get(split, 0) for c in counts.values()) for split in layout.SPLITS]
    return _table(["language", *layout.SPLITS, "all"], [*rows, ["all", *sums, manifest.samples]])


def licenses_table(manifest: Manifest) -> str:
    """Samples by licence, the most frequent first."""
    ranked = sorted(manifest.licenses.items(), key=lambda item: (-item[1], item[0]))
    rows: list[list[str | int]] = [[name, count] for name, count in ranked[:_LICENSE_ROWS]]
    if rest := ranked[_LICENSE_ROWS:]:
        rows.append([f"{len(rest)} others", sum(count for _, count in rest)])
    return _table(["licence", "samples"], rows)


def sources_table(manifest: Manifest) -> str:
    """The sources, their revisions and the terms of their content."""
    rows = [[source.name, source.kind, source.revision] for source in manifest.sources]
    if all(source.terms is None for source in manifest.sources):
        # As it was before terms were recorded: the cards of those datasets still hold.
        return _table(["source", "kind", "revision"], rows)
    stated = [[*row, terms_of(record)] for row, record in zip(rows, manifest.sources, strict=True)]
    return _table(["source", "kind", "revision", "terms"], stated)


def funnel_table(funnel: Funnel) -> str:
    """What was seen, dropped and kept, by source, language and level."""
    rows: list[list[str | int]] = []
    for source, language in sorted({key[:2] for key in funnel.levels}):
        for level in LEVELS:
            counts = funnel.at(source, language, level)
            dropped = ", ".join(f"{r} {n:,}" for r, n in sorted(counts.dropped.items()) if n)
            rows.append([source, language or "unknown", level, counts.seen, dropped, counts.kept])
    return _table(["source", "language", "level", "seen", "dropped", "kept"], rows)


def rule_text(manifest: Manifest) -> str:
    """Which pairs went as near-duplicates, in words; "" for another version of the rule."""
    facts = manifest.dedupe
    if facts.get("rule") != RULE_VERSION:
        return ""
    threshold, overlap = facts.get("threshold"), facts.get("query_overlap")
    return (
        "A pair went as a near-duplicate of a kept pair of the same language and an earlier rank "
        f"where the Jaccard of their shingles is at least {threshold} and either their functions "
        "have the same name (the last component, case folded) or the words of their queries (runs "
        f"of word characters, case folded) have a Jaccard of at least {overlap}; with another name "
        f"and another query only from {facts.get('other_name_threshold')} on. Functions of fewer "
        f"than {facts.get('min_tokens')} tokens went only where the Jaccard is at least "
        f"{threshold} and both name and query agree in this way. `removals/` holds name, query, "
        "tokens and shingles of each, so that every decision can be made again."
    )


def dedupe_table(manifest: Manifest) -> str:
    """The parameters of the search for duplicates."""
    rows = []
    for name, value in sorted(manifest.dedupe.items()):
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append([name, shown])
    return _table(["parameter", "value"], rows)


def forgotten_text(manifest: Manifest) -> str:
    """How much was taken out on request; "" where nothing was."""
    if not manifest.tombstones:
        return ""
    forgotten = manifest.tombstones
    return (
        f"{len(forgotten):,} repositories asked to be left out, with "
        f"{sum(repo.samples for repo in forgotten):,} samples and "
        f"{sum(repo.evidence for repo in forgotten):,} rows of evidence. `tombstones` in "
        "`manifest.json` holds the SHA-256 of each case-folded name "
        "(`printf owner/repo | sha256sum`), so that later builds leave them out too. If you "
        "hold an earlier copy, replace it by this one."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        cells = [f"{cell:,}" if isinstance(cell, int) else _cell(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: str) -> str:
    """Text that can neither end a cell nor become markup."""
    plain = " ".join(value.split())
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("`", "&#96;")):
        plain = plain.replace(character, escaped)
    return plain


def _split_text(manifest: Manifest) -> str:
    rule = manifest.split
    unit = {
        "repository": "by repository: no repository stands in two splits",
        "path": "by file: no file stands in two splits, a repository may",
        "source": "as the source splits it",
    }[rule.by]
    return (
        f"Split {unit} ({_cell(rule.reason)}); asked for {rule.validation:g} validation and "
        f"{rule.test:g} test."
    )


def _cap_text(manifest: Manifest) -> str:
    cap = manifest.query_cap
    per_repo, total = (str(n) if n else "any number" for n in (cap.per_repo, cap.total))
    return (
        f"Of pairs with the same normalised query, {per_repo} may stay in a repository and "
        f"{total} in all."
    )
