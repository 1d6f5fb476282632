"""`xtrove doctor`: exit codes, remedies, the machine's part; the Hub's answers as they are said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hub.running import RunningHub, running_hub
from tests.hub.store import Access
from tests.ingest import csn_copies, git_repositories
from tests.ingest.stack_tables import row, write
from tests.xtrove import support
from xtrove.commands import doctor_report
from xtrove.commands.doctor import Diagnosis, diagnose
from xtrove.config.build import validate

TOKEN = "hf_granted"
OPEN, GATED, OTHER = "open/stack", "bigcode/the-stack-dedup", "open/notes"
FAST_SECONDS = 5.0
"""Of processor time."""
SECRET = "AKIA" + "ABCDEFGH12345678"


@pytest.fixture(scope="module", name="hub")
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    root = tmp_path_factory.mktemp("files")
    content = f"def f(name):\n    key = '{SECRET}'\n    return name + key\n"
    rows = [row(i, content=content) for i in range(40)]
    rows += [row(99, max_stars_repo_licenses=["GPL-3.0-only"])]
    table = write(root / "a.parquet", rows, group=50).read_bytes()
    files = {f"data/python/data-0000{i}-of-00002.parquet": table for i in range(2)}
    with running_hub(tmp_path_factory.mktemp("hub"), page=3) as running:
        running.store.commit(OPEN, files)
        running.store.commit(GATED, files, access=Access(visibility="gated", granted=(TOKEN,)))
        running.store.commit(OTHER, {"README.md": b"nothing else\n"})
        yield running


def config(tmp_path: Path, *sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "x", "output": str(tmp_path / "out"), "sources": list(sources), **more}


def here(tmp_path: Path, *sources: dict[str, Any], **more: Any) -> Diagnosis:
    return diagnose(validate(config(tmp_path, *sources, **more), name="test"), tmp_path)


def ask(
    hub: RunningHub, tmp_path: Path, token: str = "", words: tuple[str, ...] = (), **source: Any
) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and everything said by a doctor in a process of its own."""
    hub.forget()
    path = support.write_config(
        tmp_path / "config.yaml", config(tmp_path, {"kind": "the-stack", **source})
    )
    start = support.child_seconds()
    command = [sys.executable, "-m", "xtrove", "doctor", str(path), "--json", *words]
    hub.faults(
        {
            "match": "/api/whoami-v2",
            "status": 200,
            "times": 1 if token.startswith("hf_") else 0,
            "body": '{"name": "somebody"}',
        }
    )
    done = hub.run(command, token=token)
    assert support.child_seconds() - start < FAST_SECONDS
    assert not [one for one in hub.log() if one["violation"]]
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def problems(report: dict[str, Any]) -> list[dict[str, str]]:
    return [one for source in report["sources"] for one in source["checks"] if not one["ok"]]


def check(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in report["sources"][0]["checks"] if one["name"] == name)


@pytest.mark.slow
def test_an_open_data_set_needs_no_token(hub: RunningHub, tmp_path: Path) -> None:
    code, report, output = ask(hub, tmp_path, path=f"hf://datasets/{OPEN}")
    assert code == 0
    assert report["ok"]
    source = report["sources"][0]
    assert len(source["revision"]) == 40
    assert source["languages"] == {"python": 2}
    assert source["reading"]["files"] == 2
    assert source["reading"]["rows"] == 82
    assert source["reading"]["exact"]
    assert {(one["licenses"], one["verdict"]): one["rows"] for one in source["licenses"]} == {
        ("MIT", "let in"): 80,
        ("GPL-3.0-only", "license_not_permissive"): 2,
    }
    assert "none found" in check(report, "token")["found"]
    assert SECRET not in output
    assert "<KEY>" in source["sample"]["code"]
    # Through redirects to the second port: a resolver request for the footer and one for the rows
    # of each file, the rest to the CDN.
    asked = [one for one in hub.log() if "/resolve/" in one["path"]]
    assert [one["status"] for one in asked] == [302] * 4
    assert sum(one["requests"] for one in report["traffic"].values()) == len(hub.log())


@pytest.mark.slow
def test_a_gate_without_a_token_names_the_page(hub: RunningHub, tmp_path: Path) -> None:
    code, report, _ = ask(hub, tmp_path, path=f"hf://datasets/{GATED}")
    assert code == 1
    [problem] = problems(report)
    assert "gated" in problem["found"]
    assert f"{hub.endpoint}/datasets/{GATED}" in problem["remedy"]
    assert "HF_TOKEN" in problem["remedy"]
    # What could be asked without access is still there, and nothing is said of rows.
    assert report["sources"][0]["languages"] == {"python": 2}
    assert "rows" not in {one["name"] for one in report["sources"][0]["checks"]}


@pytest.mark.slow
def test_a_gate_that_was_accepted_is_open(hub: RunningHub, tmp_path: Path) -> None:
    code, report, output = ask(hub, tmp_path, token=TOKEN, path=f"hf://datasets/{GATED}")
    assert code == 0
    assert check(report, "token")["found"].endswith("accepted for the account somebody")
    assert check(report, "rows")["ok"]
    assert TOKEN not in output


@pytest.mark.slow
def test_a_token_of_an_account_that_did_not_accept(hub: RunningHub, tmp_path: Path) -> None:
    code, report, output = ask(hub, tmp_path, token="hf_another", path=f"hf://datasets/{GATED}")
    assert code == 1
    assert [problem["name"] for problem in problems(report)] == ["layout"]
    assert "hf_another" not in output


@pytest.mark.slow
def test_a_token_that_is_not_accepted_is_said_first(hub: RunningHub, tmp_path: Path) -> None:
    code, report, output = ask(hub, tmp_path, token="expired", path=f"hf://datasets/{OPEN}")
    assert code == 1
    first = problems(report)[0]
    assert first["name"] == "token"
    assert "HTTP 401" in first["found"]
    assert "/settings/tokens" in first["remedy"]
    assert "expired" not in output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "words", "found"),
    [
        ("nobody/nothing", (), "RepoNotFound"),
        (f"{OPEN}@gone", (), "no such revision"),
        (OPEN, ("--set", "sources.0.languages=[rust]"), "rust"),
        (OTHER, (), "no Parquet file"),
    ],
)
def test_what_is_not_there_is_said(
    path: str, words: tuple[str, ...], found: str, hub: RunningHub, tmp_path: Path
) -> None:
    code, report, _ = ask(hub, tmp_path, words=words, path=f"hf://datasets/{path}")
    assert code == 1
    [problem] = problems(report)
    assert found in problem["found"]
    assert problem["remedy"]


@pytest.mark.slow
def test_codesearchnet_on_its_converted_branch(hub: RunningHub, tmp_path: Path) -> None:
    rows = [csn_copies.row(i) for i in range(3)]
    files = {"python/train/0000.parquet": csn_copies.parquet_bytes(rows)}
    hub.store.commit("open/csn", {"README.md": b"a script was here\n"})
    commit = hub.store.commit("open/csn", files, branch="refs/convert/parquet")
    source: dict[str, Any] = {"kind": "codesearchnet", "path": "hf://datasets/open/csn"}
    code, report, _ = ask(hub, tmp_path, **source)
    assert code == 1
    [problem] = problems(report)
    assert problem["name"] == "rows"
    assert "license_files" in problem["remedy"]
    assert report["sources"][0]["revision"] == commit
    declared = ask(hub, tmp_path, **source, declared_licenses=["MIT"])
    assert declared[0] == 0
    assert declared[1]["sources"][0]["reading"]["rows"] == 3


@pytest.mark.slow
def test_a_hub_that_does_not_answer_costs_the_deadline(hub: RunningHub, tmp_path: Path) -> None:
    hub.forget()
    file = config(tmp_path, {"kind": "the-stack", "path": f"hf://datasets/{OPEN}"})
    path = support.write_config(tmp_path / "config.yaml", file)
    # The answer comes when the test is over: only the deadline ends this.
    hub.faults({"match": "*/tree/*", "delay_s": 100, "times": -1})
    command = [sys.executable, "-m", "xtrove", "doctor", str(path), "--deadline", "2"]
    done = hub.run(command)
    hub.forget()
    assert done.returncode == 1
    assert "BAD" in done.stdout
    # What was found out before is shown.
    assert "token: none found" in done.stdout


@pytest.mark.slow
def test_a_look_that_does_not_end_is_left_behind(hub: RunningHub, tmp_path: Path) -> None:
    # Two requests at once, and then one in thirty seconds.
    arguments = ("--deadline", "1", "--set", "hub.requests_per_5min=10")
    code, report, _ = ask(hub, tmp_path, words=arguments, path=f"hf://datasets/{OPEN}")
    assert code == 1
    assert problems(report)[-1]["found"] == "not done after 1 s"
    assert "--deadline" in problems(report)[-1]["remedy"]
    assert check(report, "token")["ok"]
    assert all(one["ok"] for one in report["build"])


@pytest.mark.slow
def test_the_report_for_people_has_a_heading_a_source(tmp_path: Path) -> None:
    csn_copies.write_branch(tmp_path / "csn", csn_copies.rows(count=3))
    sources: list[dict[str, Any]] = [
        {"kind": "codesearchnet", "path": "csn", "declared_licenses": ["MIT"]},
        {"kind": "directory", "path": "nowhere"},
    ]
    path = support.write_config(tmp_path / "config.yaml", config(tmp_path, *sources))
    start = support.child_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "xtrove", "doctor", str(path)],
        cwd=tmp_path,
        env=support.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert support.child_seconds() - start < FAST_SECONDS
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert f"codesearchnet (codesearchnet, {tmp_path}/csn)" in lines
    assert f"directory (directory, {tmp_path}/nowhere)" in lines
    assert any(line.startswith("  BAD layout: ") for line in lines)
    remedy = lines[next(at for at, line in enumerate(lines) if "BAD" in line) + 1]
    assert remedy.startswith("      -> Name ")
    assert lines[-1].startswith("1 problem (")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("none.yaml",), ("config.yaml", "--set", "sources.0.kind=the-stak"), ()]
)
def test_wrong_words_end_with_two(words: tuple[str, ...], tmp_path: Path) -> None:
    support.write_config(tmp_path / "config.yaml", config(tmp_path, {"kind": "installed"}))
    done = support.xtrove("doctor", *(tmp_path / w if w.endswith("yaml") else w for w in words))
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    rows = tmp_path / "set.jsonl"
    rows.write_text(json.dumps({"query": "adds two numbers"}) + "\n", "utf-8")
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"code": "MOVE A TO B", "lang": "cobol"}) + "\n", "utf-8")
    source = {"kind": "directory", "path": str(tmp_path), "declared_licenses": ["MIT"]}
    sets = [{"name": "good", "path": str(rows)}, {"name": "other", "path": str(other)}]
    result = here(tmp_path, source, decontaminate=sets, workers=3)
    assert result.ok
    output = {one.name: one.found for one in result.build}
    assert "can be written" in output["output"]
    assert "free on" in output["output"]
    assert output["work"].startswith(str(tmp_path / "out" / ".xtrove"))
    assert output["workers"].startswith("3 at once")
    assert output["decontaminate good"] == "1 rows"
    assert output["decontaminate other"] == "1 rows, 1 with code in no language of ours (cobol)"
    report = json.loads(doctor_report.as_json(result))
    assert report["ok"]
    assert report["sources"][0]["sample"]["code"] == "x = 1\n"


def test_an_output_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    source = {"kind": "directory", "path": str(tmp_path), "declared_licenses": ["MIT"]}
    result = here(tmp_path, source, output="/proc/xtrove")
    assert not result.ok
    first = next(one for one in result.build if not one.ok)
    assert first.name == "output"
    assert "/proc/xtrove" in first.found
    assert "--set output=" in first.remedy


@pytest.mark.slow
def test_a_checkout_that_git_cannot_read_is_named(tmp_path: Path) -> None:
    """By `doctor` and by `build`, beside a checkout that can be read."""
    for name in ("good", "bad"):
        git_repositories.checkout(tmp_path / "code" / name, {"a.py": "x = 1\n"})
    git_repositories.git(tmp_path / "code/bad", "symbolic-ref", "HEAD", "refs/heads/none")
    source = {"kind": "directory", "path": str(tmp_path / "code"), "declared_licenses": ["MIT"]}
    result = here(tmp_path, source)
    (fault,) = [one for one in result.sources[0].checks if not one.ok]
    assert f"cannot read this checkout: {tmp_path}/code/bad" in fault.found
    assert "Commit its files" in fault.remedy
    path = support.write_config(tmp_path / "config.yaml", config(tmp_path, source))
    done = support.xtrove("build", path)
    assert done.returncode == 2
    output = " ".join(done.stderr.split())
    assert f"cannot read this checkout: {tmp_path}/code/bad" in output
    assert "Commit its files" in output
    assert here(tmp_path, {**source, "exclude": ["bad"]}).ok


def test_an_evaluation_set_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    source = {"kind": "directory", "path": str(tmp_path), "declared_licenses": ["MIT"]}
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{no json\n", "utf-8")
    sets = [{"name": "gone", "path": "gone.jsonl"}, {"name": "broken", "path": str(broken)}]
    result = here(tmp_path, source, decontaminate=sets)
    bad = [one for one in result.build if not one.ok]
    assert [one.name for one in bad] == ["decontaminate gone", "decontaminate broken"]
    assert "gone.jsonl" in bad[0].found
    assert "broken.jsonl:1" in bad[1].found


def test_text_of_a_source_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    rows = [{"query": "q \x1b[31m", "code": "x = 1 # \x1b]0;title\x07", "language": "python"}]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    source = {"kind": "pairs", "path": str(path), "declared_licenses": ["MIT"]}
    report = doctor_report.as_json(here(tmp_path, source))
    sample = json.loads(report)["sources"][0]["sample"]
    assert sample["query"].startswith("q ")
    assert "\x1b" not in sample["query"] + sample["code"]
    assert "\x07" not in sample["code"]


def test_the_speed_of_asking_is_no_part_of_what_a_build_is(tmp_path: Path) -> None:
    source = {"kind": "installed"}
    slow = validate(config(tmp_path, source, hub={"requests_per_5min": 100}), name="test")
    usual = validate(config(tmp_path, source), name="test")
    assert slow.digest() == usual.digest()
    assert slow.hub.limits().requests_per_second == pytest.approx(1 / 3)
    assert yaml.safe_load(yaml.safe_dump(slow.dump()))["hub"]["requests_per_5min"] == 100
