"""The card: what the Hub reads of it, what its code does, and plots whose numbers are checked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from shards.format import layout
from shards.format.checksums import parse_checksums, write_checksums
from shards.format.funnel import Funnel
from shards.format.manifest import load_manifest
from shards.verify.dataset import check_dataset
from shards.write import card_text, plots
from tests.shards import builder

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> builder.Built:
    """Two languages, three splits."""
    return builder.build(tmp_path_factory.mktemp("card"))


def _text(path: Path) -> str:
    return (path / "README.md").read_text("utf-8")


def _reseal(path: Path) -> None:
    """Checksums of what stands there now."""
    names = [name for name in layout.walk(path) if name != layout.CHECKSUMS]
    write_checksums(path, names, {}, path / ".xtrove/tmp")


def test_the_front_matter_is_what_the_hub_reads(built: builder.Built) -> None:
    data = DatasetCard(_text(built.path)).data.to_dict()
    configs = {one["config_name"]: one["data_files"] for one in data["configs"]}
    assert list(configs) == ["default", "go", "python"]
    for name, files in configs.items():
        for file in files:
            assert file["path"].startswith("parquet/")
            assert list(built.path.glob(file["path"])), (name, file)
    for info in data["dataset_info"]:
        assert [one["name"] for one in info["features"]] == sorted(
            one["name"] for one in info["features"]
        )
    assert "extra_gated_prompt" not in data


def test_terms_of_the_stack(tmp_path: Path) -> None:
    path = builder.build(tmp_path, [builder.make_pair(1)], [], kind="the-stack").path
    data = DatasetCard(_text(path)).data.to_dict()
    assert data["extra_gated_prompt"] == card_text.TERMS
    assert data["extra_gated_fields"]["Email"] == "text"
    assert "checkbox" in data["extra_gated_fields"].values()
    assert "## Terms" in _text(path)
    assert check_dataset(path).sound


@pytest.mark.slow
def test_the_code_of_the_card_runs(built: builder.Built, tmp_path: Path) -> None:
    """All four tools, as the card writes them, inside a copy of the dataset."""
    block = re.search(r"```python\n(.*?)```", _text(built.path), re.DOTALL)
    assert block is not None
    code = block[1].replace(card_text.HUB_ID, str(built.path))
    first = next(s for s in built.manifest.shards if s.split == "train")
    code = code.replace("import tarfile", "kept = rows\nimport tarfile")
    code += "assert len(payloads) == table.num_rows == int(sys.argv[1])\n"
    code += "print(len([sample['json']['id'] for sample in kept]))\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import sys\n" + code, str(first.samples)],
        cwd=built.path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    series = [
        s for s in built.manifest.shards if (s.language, s.split) == (first.language, "train")
    ]
    assert int(done.stdout.split()[-1]) == sum(shard.samples for shard in series)
    assert len(series) > 1


def test_plots_show_the_numbers_of_the_funnel(built: builder.Built) -> None:
    funnel = Funnel.from_json((built.path / "funnel.json").read_bytes())
    result = plots.texts((built.path / "plots/funnel.svg").read_bytes())
    pairs = funnel.totals()["pairs"]
    place = result.index(f"pairs: {pairs.seen:,} seen")
    assert result[place + 1 : place + 3] == ["kept", f"{pairs.kept:,}"]
    named = dict(zip(result[place + 1 :: 2], result[place + 2 :: 2], strict=False))
    assert {r: f"{n:,}" for r, n in pairs.dropped.items()}.items() <= named.items()
    samples = plots.texts((built.path / "plots/samples.svg").read_bytes())
    assert samples[1:] == ["python", "60", "go", "40"]
    sums = parse_checksums((built.path / layout.CHECKSUMS).read_bytes())
    for path in layout.PLOTS:
        assert path in sums
        assert f"]({path})" in _text(built.path)


@pytest.mark.slow
def test_plots_are_the_same_bytes_in_another_process(built: builder.Built, tmp_path: Path) -> None:
    """Another home, another configuration of matplotlib, another hash seed."""
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsvg.fonttype: path\nfigure.dpi: 300\n")
    script = (
        "import sys; from pathlib import Path\n"
        "from shards.write import plots\n"
        "from shards.format.funnel import Funnel\n"
        "from shards.format.manifest import load_manifest\n"
        "base = Path(sys.argv[1])\n"
        "funnel = Funnel.from_json((base / 'funnel.json').read_bytes())\n"
        "for path, shown in plots.panels(load_manifest(base), funnel).items():\n"
        "    place = Path(sys.argv[2]) / path\n"
        "    place.parent.mkdir(exist_ok=True)\n"
        "    place.write_bytes(plots.draw(shown))\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(built.path), str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PYTHONHASHSEED": "7",
             "MPLCONFIGDIR": str(tmp_path)},
        check=True,
        timeout=120,
    )  # fmt: skip
    for path in layout.PLOTS:
        assert (tmp_path / path).read_bytes() == (built.path / path).read_bytes()
        assert b"<dc:date>" not in (built.path / path).read_bytes()


def test_names_that_are_no_plain_text_are_drawn_as_such() -> None:
    names = ["$x^2$ <b>&amp;", "naïve 🙂", "y" * 100]
    shown = [plots.Panel(title="a & b", bars=tuple(plots._ranked(Counter(names), "#000000")))]
    assert plots.texts(plots.draw(shown)) == plots.rows(shown)
    many = Counter({f"r{n:02}": n for n in range(1, 41)})
    bars = plots._ranked(many, "#000000")
    assert sum(bar.value for bar in bars) == many.total()
    assert bars[-1].name == "24 others"


@pytest.mark.slow
@pytest.mark.parametrize("path", layout.PLOTS)
def test_a_changed_number_in_a_plot_is_found(
    built: builder.Built, tmp_path: Path, path: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built.path, copy)
    svg = (copy / path).read_text("utf-8")
    last = plots.texts(svg.encode())[-1]
    cut = svg.rindex(f">{last}</text>")
    (copy / path).write_text(svg[:cut] + f">{last}9</text>" + svg[cut + len(last) + 8 :], "utf-8")
    _reseal(copy)
    result = [(finding.check, finding.subject) for finding in check_dataset(copy).findings]
    assert result == [("card", path)]
    (copy / path).unlink()
    _reseal(copy)
    assert ("card", path) in [
        (finding.check, finding.subject) for finding in check_dataset(copy).findings
    ]


def test_a_dataset_without_plots_is_sound_still(built: builder.Built, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built.path, copy)
    shutil.rmtree(copy / "plots")
    card = re.sub(r"!\[[^\]]*\]\(plots/[a-z]+\.svg\)\n\n", "", _text(copy))
    (copy / "README.md").write_text(card, "utf-8")
    _reseal(copy)
    report = check_dataset(copy)
    assert report.sound, report.findings


def test_limits_and_citation_follow_the_manifest(built: builder.Built) -> None:
    manifest = load_manifest(built.path)
    assert manifest.content_sha256 in card_text.citation(manifest)
    assert "python (60)" in card_text.limits(manifest)
    assert "by file" not in card_text.limits(manifest)
    moved = manifest.model_copy(update={"split": manifest.split.model_copy(update={"by": "path"})})
    assert "by file" in card_text.limits(moved)
