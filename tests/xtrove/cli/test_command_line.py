"""The command line: words, exit codes, streams, locks; whatever needs no finished build."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from tests.xtrove import support

COMMANDS = (
    *("build", "doctor", "verify", "inspect", "why", "forget", "publish", "export"),
    *("evaluate", "train", "average", "mine", "report", "search"),
)


@pytest.mark.slow
def test_every_command_has_help() -> None:
    front = support.xtrove("--help")
    assert front.returncode == 0
    for command in COMMANDS:
        assert command in front.stdout
        done = support.xtrove(command, "--help")
        assert done.returncode == 0
        assert len(done.stdout) > 200


def test_the_version_is_that_of_the_package() -> None:
    done = support.xtrove("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"xtrove {metadata.version('xtrove')}\n"


def test_the_set_of_commands_and_options_is_known() -> None:
    """A new word of the command line is a decision, not an accident."""
    words = support.xtrove("build", "--help").stdout
    for option in ("--output", "--workers", "--set", "--print-config"):
        assert option in words


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("bild",),
        ("build", "--nonsense"),
        ("build", "--workers", "-1"),
        ("build", "none.yaml"),
        ("build", "--set", "dedupe.treshold=1"),
        ("verify",),
        ("verify", "/nonexistent"),
        ("inspect", "/nonexistent"),
        ("why", "/nonexistent", "abcdef"),
        ("forget", "/nonexistent"),
        ("forget", "/nonexistent", "owner/repo"),
    ],
)
def test_wrong_words_end_with_two(words: tuple[str, ...]) -> None:
    done = support.xtrove(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_print_config_shows_defaults_file_and_set(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("name: x\nsources: [{kind: directory, path: .}]\n", encoding="utf-8")
    done = support.xtrove("build", config, "--set", "dedupe.threshold=0.8", "--print-config")
    assert done.returncode == 0
    shown = yaml.safe_load(done.stdout)
    assert shown["dedupe"]["threshold"] == 0.8
    assert shown["filters"]["min_query_chars"] == 15
    assert shown["output"] == "data/x"
    again = tmp_path / "again.yaml"
    again.write_text(done.stdout, encoding="utf-8")
    assert support.xtrove("build", again, "--print-config").stdout == done.stdout


@pytest.mark.slow
def test_a_source_that_is_not_there_is_a_matter_of_the_config(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("name: x\nsources: [{kind: directory, path: nowhere}]\n", encoding="utf-8")
    done = support.xtrove("build", config, cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_missing_evaluation_set_is_a_matter_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x = 1\n", encoding="utf-8")
    text = (
        f"name: x\nsources: [{{kind: directory, path: {tmp_path}, declared_licenses: [MIT]}}]\n"
        "decontaminate: [{name: gone, path: gone.jsonl}]\n"
    )
    config = tmp_path / "config.yaml"
    config.write_text(text, encoding="utf-8")
    done = support.xtrove("build", config, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "gone.jsonl" in done.stderr


@pytest.mark.slow
def test_a_relative_output_in_a_job_of_ray_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_0123"
    path.mkdir(parents=True)
    done = support.xtrove("build", "--output", "data/x", cwd=path)
    assert done.returncode == 2
    assert "Ray deletes" in done.stderr
    assert "absolute path" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluate", "dedupe"])
def test_a_package_that_owns_our_names_stops_the_command(name: str, tmp_path: Path) -> None:
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    paths = {"PYTHONPATH": f"{support.ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-m", "xtrove", "build", "--output", str(tmp_path / "out")],
        cwd=tmp_path,
        env={**support.environment(), **paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"pip uninstall {name}" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_build_needs_no_torch() -> None:
    script = (
        "import sys, xtrove.build.run, xtrove.commands.verifying, xtrove.commands.inspecting\n"
        "import xtrove.stages.extract\n"
        "sys.exit(bool({'torch', 'transformers', 'datasets'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=support.ROOT, env=support.environment(), check=False
    )
    assert done.returncode == 0


def _small(folder: Path) -> Path:
    shards = {"splits": {"validation": 0, "test": 0}}
    source = support.library(folder / "source", limit=400_000)
    config = support.library_config(source, shards=shards)
    return support.write_config(folder / "config.yaml", config)


@pytest.mark.slow
def test_output_is_for_people_and_pipes(tmp_path: Path) -> None:
    """Results on stdout, nothing of Ray on either stream, one JSON event a line in the log."""
    done = support.build(_small(tmp_path), "--output", tmp_path / "out", "--workers", 1)
    assert "files seen" in done.stdout
    assert "xtrove verify" in done.stdout
    assert done.stderr == ""
    for word in ("ray", "raylet", "\x1b"):
        assert word not in done.stdout.lower()
    stages = {event.get("stage") for event in support.events(tmp_path / "out")}
    assert {"extract", "bands", "verify", "select", "layout", "shard", "seal"} <= stages


@pytest.mark.slow
def test_a_terminal_sees_a_live_table(tmp_path: Path) -> None:
    config = _small(tmp_path)
    main, side = pty.openpty()
    arguments = [
        sys.executable,
        "-m",
        "xtrove",
        "build",
        str(config),
        "--output",
        str(tmp_path / "o"),
    ]
    arguments += ["--workers", "0"]
    environment = {**support.environment(), "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        arguments, cwd=support.ROOT, env=environment, stdout=side, stderr=side, stdin=side
    ) as process:
        os.close(side)
        seen = bytearray()
        while True:
            try:
                seen += os.read(main, 65536)
            except OSError:
                break
    os.close(main)
    assert process.returncode == 0
    text = seen.decode("utf-8", "replace")
    assert "stage" in text
    assert "extract" in text
    assert "samples" in text
    assert "raylet" not in text


@pytest.mark.slow
def test_two_builds_do_not_write_into_one_output(tmp_path: Path) -> None:
    config = _small(tmp_path)
    output = tmp_path / "out"
    with support.start_build(config, "--output", output, "--workers", 0) as first:
        lock = output / ".xtrove" / "lock"
        deadline = time.monotonic() + 60
        while not (lock.exists() and lock.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        # It stands still, so that it cannot be done before the second one looks.
        os.kill(first.pid, signal.SIGSTOP)
        try:
            second = support.xtrove("build", config, "--output", output)
        finally:
            os.kill(first.pid, signal.SIGCONT)
        assert second.returncode == 1
        assert "another build is writing here" in second.stderr
        assert str(first.pid) in second.stderr
        out, err = first.communicate(timeout=support.TIMEOUT)
    assert first.returncode == 0, out + err


@pytest.mark.slow
def test_a_folder_that_holds_datasets_is_no_unfinished_build(tmp_path: Path) -> None:
    (tmp_path / "data/installed").mkdir(parents=True)
    done = support.xtrove("inspect", str(tmp_path))
    assert done.returncode == 2 and "is not a dataset" in done.stderr
    (tmp_path / "data/installed/train-00000.tar").write_bytes(b"")
    assert "unfinished build" in support.xtrove("inspect", str(tmp_path)).stderr
