"""The parts of the card that are prose: terms, loading, provenance, citation, known limits.

All of them are functions of the manifest, so that nothing in a card needs to be written by hand
and a forgotten repository leaves none of them wrong.
"""

from __future__ import annotations

from typing import Final

from ingest import THE_STACK
from shards.format import Manifest, layout
from shards.write.terms import terms_of, unpublishable

HUB_ID: Final = "OWNER/NAME"
"""Stands for the repository: a dataset does not know where it is published."""
TERMS: Final = (
    "This dataset contains code from The Stack, which is given out under terms of use that pass "
    "on to everyone who receives a copy: https://huggingface.co/datasets/bigcode/the-stack "
    "(version 1) and https://huggingface.co/datasets/bigcode/the-stack-v2 (version 2). By asking "
    "for access you agree to those terms, and with them (1) to follow the original licence of "
    "every file, attribution included (ATTRIBUTION.jsonl names each repository); (2) to replace "
    "your copy when a version without removed files is published; (3) to put the same terms "
    "before anyone you share it with, and to have them agree first."
)
_FEW: Final = 1000


def terms(manifest: Manifest) -> str:
    """What whoever receives a copy agrees to; of a dataset that is gated."""
    kinds = {terms_of(source) for source in manifest.sources}
    parts = [TERMS] if THE_STACK in kinds else []
    if unknown := unpublishable(manifest):
        parts.append(
            f"The terms of these sources are not recorded here: {', '.join(unknown)}. Ask whoever "
            "gives them out before this dataset is handed on."
        )
    return " ".join(parts)


def gate(manifest: Manifest) -> dict[str, object]:
    """The front matter that makes readers agree to the terms of a gated dataset first."""
    kinds = {terms_of(source) for source in manifest.sources}
    whose = "Code from The Stack: terms of use" if THE_STACK in kinds else "Terms of use"
    return {
        "extra_gated_heading": whose,
        "extra_gated_prompt": terms(manifest),
        "extra_gated_fields": {
            "Email": "text",
            "I have read these terms and agree to them": "checkbox",
        },
        "extra_gated_button_content": "Agree and get access",
    }


def loading(manifest: Manifest) -> str:
    """How to read the dataset with four tools, each with a path that exists."""
    shards = sorted(manifest.shards, key=lambda shard: (shard.split != "train", shard.path))
    if not shards:
        return "There are no samples to load."
    first = shards[0]
    tar, twin = first.path, layout.parquet_path(first.path)
    number = layout.parse_tar_path(tar)
    last = max(
        layout.parse_tar_path(shard.path) or ("", "", 0)
        for shard in shards
        if (shard.language, shard.split) == (first.language, first.split)
    )
    series = tar
    if number is not None and last[2] > 0:
        series = tar.replace("00000.tar", f"{{00000..{last[2]:05d}}}.tar")
    names = ", ".join(f"`{language}`" for language in manifest.languages())
    return "\n".join(
        [
            f"Configs: `default` (all languages), {names}. `{HUB_ID}` is this repository, or the "
            "folder of a copy; the other three read a copy "
            f"(`hf download {HUB_ID} --repo-type dataset --local-dir .`).",
            "",
            "```python",
            "from datasets import load_dataset",
            f'rows = load_dataset("{HUB_ID}", "{first.language}", split="{first.split}")',
            f'rows = load_dataset("{HUB_ID}", split="{first.split}", streaming=True)',
            "",
            "import webdataset",
            f'rows = webdataset.WebDataset("{series}", shardshuffle=False).decode()',
            "",
            "import tarfile",
            f'with tarfile.open("{tar}") as tar:',
            "    payloads = [tar.extractfile(member).read() for member in tar]",
            "",
            "import pyarrow.parquet",
            f'table = pyarrow.parquet.read_table("{twin}")',
            "```",
            "",
            f"Beside each tar stands an Arrow index (`{layout.index_path(tar)}`) with the place, "
            "tokens, query group, quality, licence class and code digest of every sample. Samples "
            "stand in the order of their ids, which are hashes: reading in order is a shuffle.",
        ]
    )


def provenance(manifest: Manifest) -> str:
    """What made the dataset, and how to check a copy."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    return (
        f"Built from the revisions above by {versions}; config digest "
        f"`{manifest.config_digest[:16]}`. Every sample names its repository, revision, path, "
        "lines and bytes. `content_sha256` in `manifest.json` is "
        f"`{manifest.content_sha256}`: the same samples have it wherever they are built. A copy "
        "is checked by `sha256sum -c SHA256SUMS`, and with every claim of this card by "
        "`xtrove verify DATASET`."
    )


def citation(manifest: Manifest) -> str:
    """An entry that names the content, not the day."""
    key = "".join(c if c.isascii() and c.isalnum() else "-" for c in manifest.name)
    name = " ".join(manifest.name.translate(str.maketrans("{}\\", "()/", "`<>")).split())
    return "\n".join(
        [
            "Cite the sources above as their authors ask, and this selection by its content:",
            "",
            "```bibtex",
            f"@misc{{{key}-{manifest.content_sha256[:8]},",
            f"  title = {{{name}: {manifest.samples} pairs of queries and code}},",
            f"  howpublished = {{Hugging Face Hub, tag content-{manifest.content_sha256[:16]}}},",
            f"  note = {{xtrove dataset, content SHA-256 {manifest.content_sha256}}}",
            "}",
            "```",
        ]
    )


def limits(manifest: Manifest) -> str:
    """What a user should know before trusting numbers made with it."""
    limits_ = [
        "Queries are documentation that was written for readers of the code, not questions that "
        "were typed into a search box.",
        "Near-duplicates are found with the stated recall, not all of them; code that was renamed "
        "throughout is not a duplicate here.",
        "Licences are those the sources state for a repository or file; nobody has read each file.",
        "`stars`, `revision` and `url` are as the source gives them: -1 or empty where it does "
        "not.",
        "Secrets and addresses are replaced where a pattern finds them; what no pattern finds "
        "stays.",
    ]
    counts = {language: sum(n.values()) for language, n in manifest.counts().items()}
    if few := [f"{language} ({n:,})" for language, n in counts.items() if n < _FEW]:
        limits_.append(f"Few samples for training on their own: {', '.join(few)}.")
    if manifest.split.by == "path":
        limits_.append(
            "The split is by file: functions of one repository stand in train and in test, and "
            "numbers measured on test flatter a model that was trained on train."
        )
    if manifest.quarantined:
        limits_.append(
            f"{len(manifest.quarantined):,} inputs were corrupt and left out; `quarantined` in "
            "`manifest.json` names them."
        )
    return "\n".join(f"- {limit}" for limit in limits_)
