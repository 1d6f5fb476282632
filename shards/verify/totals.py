"""The checks over the whole dataset: counts, shard boundaries, uniqueness, caps and texts.

They work on what `check_shard` left: arrays of 24 bytes a sample, and sidecars on disk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from numpy.typing import NDArray

from shards.format import ROW, Funnel, Manifest, content_sha256, duplicate_ids, layout, plan_ranges
from shards.storage import Findings
from shards.verify.removals import RemovalsSeen
from shards.verify.shard import ShardSeen
from shards.verify.tombstones import check_forgotten_pairs, check_thinned
from shards.write import card, plots, terms, write_attribution
from xtrove.core import DamagedData, file_sha256

_MANIFEST: Final = layout.MANIFEST


def check_counts(manifest: Manifest, shards: Sequence[ShardSeen], findings: Findings) -> None:
    """Samples, tokens, licences and digests against the manifest; ids unique over all shards."""
    for shard in shards:
        if shard.samples != shard.facts.samples:
            findings.add(
                "count",
                shard.facts.path,
                f"holds {shard.samples} samples, the manifest says {shard.facts.samples}",
            )
    tokens = sum(shard.tokens for shard in shards)
    if tokens != manifest.tokens:
        findings.add("count", _MANIFEST, f"tokens is {manifest.tokens}, the shards hold {tokens}")
    licenses = sum((shard.licenses for shard in shards), Counter[str]())
    if dict(licenses) != manifest.licenses:
        wrong = sorted(
            name
            for name in licenses.keys() | manifest.licenses.keys()
            if licenses[name] != manifest.licenses.get(name, 0)
        )
        findings.add("count", _MANIFEST, f"counts of the licences {wrong[:20]} are wrong")
    sidecars = [shard.digests for shard in shards]
    for sample_id in duplicate_ids(sidecars):
        findings.add("unique", sample_id, "stands in the shards more than once")
    digest = content_sha256(sidecars)
    if digest != manifest.content_sha256:
        findings.add(
            "content", _MANIFEST, f"content_sha256 is {manifest.content_sha256}, found {digest}"
        )


def check_boundaries(manifest: Manifest, shards: Sequence[ShardSeen], findings: Findings) -> None:
    """Numbers without gaps, ids ascending from shard to shard, N = ceil(total / max_bytes).

    Where tombstones took members out, that is asked of the shards as they were before.
    """
    thinned = check_thinned(manifest, shards, findings)
    series: dict[str, list[ShardSeen]] = {}
    for shard in shards:
        series.setdefault(f"data/{shard.facts.language}/{shard.facts.split}", []).append(shard)
    for name, members in series.items():
        ordered = sorted(members, key=lambda s: layout.parse_tar_path(s.facts.path) or ("", "", 0))
        for left, right in zip(ordered, ordered[1:], strict=False):
            if right.samples and right.first <= left.last:
                findings.add(
                    "boundaries",
                    f"{right.facts.path} {right.first}",
                    f"does not come after {left.last} of {left.facts.path}",
                )
        if name in thinned:
            continue
        for number, shard in enumerate(ordered):
            path = layout.tar_path(shard.facts.language, shard.facts.split, number)
            if shard.facts.path != path:
                findings.add("boundaries", shard.facts.path, f"should be {path}")
        sizes = np.concatenate([shard.sizes for shard in ordered])
        planned = [stop - start for start, stop in plan_ranges(sizes, manifest.max_bytes)]
        counted = [shard.samples for shard in ordered]
        if planned != counted:
            findings.add(
                "boundaries",
                name,
                f"{int(sizes.sum())} bytes at max_bytes {manifest.max_bytes} make "
                f"{len(planned)} shards of {planned[:10]} samples, found {len(counted)} of "
                f"{counted[:10]}",
            )


def check_query_caps(manifest: Manifest, shards: Sequence[ShardSeen], findings: Findings) -> None:
    """No query group has more pairs, in a repository or in all, than the manifest allows."""
    groups = np.concatenate([shard.groups for shard in shards] or [np.empty((0, 2), np.uint64)])
    cap = manifest.query_cap
    order = np.lexsort((groups[:, 1], groups[:, 0]))
    columns = ((groups[:, :1], cap.total, "in all"), (groups, cap.per_repo, "in one repository"))
    for columns_of, limit, where in columns:
        for row in _crowded(columns_of[order], limit) if limit else []:
            subject = _id_of_row(shards, int(order[row]))
            group = f"{int(groups[order[row], 0]):016x}"
            findings.add(
                "query_cap", subject, f"query_group {group} holds more than {limit} pairs {where}"
            )


def _crowded(rows: NDArray[np.uint64], limit: int) -> list[int]:
    """First surplus place of each run of equal rows that is longer than the limit."""
    if len(rows) <= limit:
        return []
    surplus = np.flatnonzero((rows[limit:] == rows[:-limit]).all(axis=1)) + limit
    values = rows[surplus]
    first = np.ones(len(surplus), dtype=np.bool_)
    first[1:] = (values[1:] != values[:-1]).any(axis=1)
    members: list[int] = surplus[first].tolist()
    return members


def _id_of_row(shards: Sequence[ShardSeen], row: int) -> str:
    for shard in shards:
        if row < shard.samples:
            with shard.digests.open("rb") as stream:
                stream.seek(row * ROW)
                return f"{shard.facts.path} {stream.read(16).hex()}"
        row -= shard.samples
    raise IndexError(f"row {row} is beyond the shards")


def check_funnel(
    base: Path,
    manifest: Manifest,
    shards: Sequence[ShardSeen],
    removals: RemovalsSeen,
    findings: Findings,
) -> Funnel | None:
    """The funnel adds up, ends in the shards, and its dropped pairs are the evidence."""
    if removals.rows != manifest.removals:
        findings.add("count", _MANIFEST, f"removals is {manifest.removals}, found {removals.rows}")
    try:
        data = layout.read_text_file(base, layout.FUNNEL)
        funnel = Funnel.from_json(data)
    except (DamagedData, ValueError) as error:
        findings.add("funnel", layout.FUNNEL, str(error))
        return None
    if funnel.to_json() != data:
        findings.add("funnel", layout.FUNNEL, "is not in canonical form")
    for wrong in funnel.check():
        findings.add("funnel", layout.FUNNEL, wrong)
    kept = sum((shard.kept for shard in shards), Counter[tuple[str, str]]())
    dropped: Counter[tuple[str, str, str]] = Counter()
    for (source, language, level), counts in funnel.levels.items():
        if level != "pairs":
            continue
        kept_pairs = kept.pop((source, language), 0)
        if counts.kept != kept_pairs:
            findings.add(
                "funnel",
                layout.FUNNEL,
                f"{source}/{language}: {counts.kept} pairs kept, the shards hold {kept_pairs}",
            )
        for reason, count in counts.dropped.items():
            dropped[source, language, reason] += count
    check_forgotten_pairs(manifest, dropped, findings)
    for source, language in sorted(kept):
        findings.add("funnel", layout.FUNNEL, f"{source}/{language} is not in it, but in shards")
    for key in sorted(dropped.keys() | removals.reasons.keys()):
        if dropped[key] != removals.reasons[key]:
            findings.add(
                "funnel",
                layout.FUNNEL,
                f"{'/'.join(key)}: {dropped[key]} pairs dropped, removals/ holds "
                f"{removals.reasons[key]}",
            )
    return funnel


def check_texts(
    base: Path,
    manifest: Manifest,
    funnel: Funnel | None,
    shards: Sequence[ShardSeen],
    scratch: Path,
    findings: Findings,
) -> None:
    """ATTRIBUTION.jsonl is what the shards say; the card's configs and tables are right."""
    ordered = sorted(shards, key=lambda shard: shard.facts.path)
    expected = write_attribution(scratch, [shard.attribution for shard in ordered], scratch)
    try:
        actual = file_sha256(layout.safe_file(base, layout.ATTRIBUTION))[0]
        if actual != expected.sha256:
            findings.add(
                "attribution", layout.ATTRIBUTION, "is not the attribution of these shards"
            )
        text = layout.read_text_file(base, layout.CARD).decode("utf-8")
    except (DamagedData, UnicodeDecodeError, OSError) as error:
        findings.add("card", layout.CARD, str(error))
        return
    _check_front_matter(text, manifest, findings)
    tables = {
        "samples": card.samples_table(manifest),
        "licences": card.licenses_table(manifest),
        "sources": card.sources_table(manifest),
        "duplicates": card.dedupe_table(manifest),
        "the rule for near-duplicates": card.rule_text(manifest),
        "forgotten repositories": card.forgotten_text(manifest),
        "funnel": card.funnel_table(funnel) if funnel is not None else "",
    }
    for name, table in tables.items():
        if table not in text:
            findings.add("card", layout.CARD, f"what it says of {name} has other numbers")
    if funnel is not None:
        _check_plots(base, text, manifest, funnel, findings)


def _check_plots(
    base: Path, text: str, manifest: Manifest, funnel: Funnel, findings: Findings
) -> None:
    """Names and numbers in the plots that the card shows; datasets of before have none."""
    for path, shown in plots.panels(manifest, funnel).items():
        if f"]({path})" not in text:
            continue
        try:
            texts = plots.texts(layout.read_text_file(base, path, plots.MAX_BYTES))
        except DamagedData as error:
            findings.add("card", path, str(error))
            continue
        if texts != plots.rows(shown):
            findings.add("card", path, "has other names or numbers than the manifest and funnel")


def _check_front_matter(text: str, manifest: Manifest, findings: Findings) -> None:
    block = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    try:
        head = yaml.safe_load(block[1]) if block else None
    except (yaml.YAMLError, RecursionError) as error:
        findings.add("card", layout.CARD, f"its front matter is no YAML: {error}")
        return
    expected = card.front_matter(manifest)
    if not isinstance(head, dict):
        findings.add("card", layout.CARD, "has no YAML front matter")
        return
    for name in ("configs", "dataset_info", "size_categories"):
        if head.get(name) != expected[name]:
            findings.add("card", layout.CARD, f"{name} in its front matter is wrong")
    for contradiction in terms.contradictions(manifest):
        findings.add("manifest", layout.MANIFEST, contradiction)
    if terms.is_gated(manifest) and not head.get("extra_gated_prompt"):
        findings.add("card", layout.CARD, "must put terms before its readers: see its sources")
