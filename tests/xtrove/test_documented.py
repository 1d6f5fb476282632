"""What the command line has is written down, and what is written down is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
import typer.main
from typer._click import Command, Parameter

from tests.xtrove import support
from xtrove.cli.app import EXTRAS, app, as_misuse
from xtrove.core.errors import Misuse

README = (support.ROOT / "README.md").read_text("utf-8")
MODULES = {"ir-measures": "ir_measures"}


def _commands() -> dict[str, Command]:
    group = typer.main.get_command(app)
    return dict(group.commands)  # type: ignore[attr-defined]


def _parameters() -> Iterator[tuple[str, Parameter]]:
    for name, command in _commands().items():
        for parameter in command.params:
            yield name, parameter


def test_every_command_is_named_in_the_readme() -> None:
    reported = set(re.findall(r"xtrove ([a-z]+)\b", README)) | set(
        re.findall(r"`([a-z]+)`", README)
    )
    assert set(_commands()) - reported == set()


def test_every_command_that_the_readme_types_is_there() -> None:
    typed = set(re.findall(r"^ +xtrove ([a-z]+)\b", README, re.MULTILINE))
    typed |= set(re.findall(r"`xtrove ([a-z]+)\b", README))
    assert typed and typed - set(_commands()) == set()


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"(?<![\w/.])((?:config|docs|evaluate/specs|tests)/[\w./]+\.\w+)", README)
    assert len(named) > 5
    assert [one for one in named if not (support.ROOT / one).is_file()] == []


def test_every_option_says_what_it_does() -> None:
    mute = [
        f"{name} {parameter.name}"
        for name, parameter in _parameters()
        if parameter.name != "help" and len(getattr(parameter, "help", None) or "") < 8
    ]
    assert mute == []


def test_every_extra_is_known_where_its_packages_are_missing() -> None:
    project = tomllib.loads((support.ROOT / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    expected = {}
    for extra in sorted(extras.keys() - {"dev", "docs"}):
        for line in extras[extra]:
            name = re.split(r"[^A-Za-z0-9_-]", line)[0]
            if name != "xtrove":
                expected[MODULES.get(name, name)] = extra
    assert expected == EXTRAS


def test_a_missing_module_of_no_extra_is_not_explained_away() -> None:
    assert as_misuse(ModuleNotFoundError("no", name="shards.nothing")) is None
    assert as_misuse(ModuleNotFoundError("no")) is None
    reported = as_misuse(ModuleNotFoundError("no", name="torch.nn"))
    assert (
        isinstance(reported, Misuse)
        and "torch" in reported.message
        and "[train]" in reported.remedy
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("train", "config/train_smoke.yaml"),
        ("train", "config/train_smoke.yaml", "--plan"),
        ("mine", "data/installed", "--model-path", "none", "--output", "none"),
        ("evaluate", "--spec", "evaluate/specs/code_queries.json"),
    ],
)
def test_without_the_extra_a_command_says_what_to_install(words: tuple[str, ...]) -> None:
    """The modules are kept from being found, as where only the build was installed."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(EXTRAS)!r}))\n"
        f"sys.argv = ['xtrove', *{words!r}]\nfrom xtrove.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=support.environment(),
        cwd=support.ROOT,
        capture_output=True,
        text=True,
        timeout=support.TIMEOUT,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install -e '.[train]' -c constraints.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_command_the_five_steps_are_shown() -> None:
    done = support.xtrove()
    assert done.returncode == 0 and done.stderr == ""
    typed = set(re.findall(r"xtrove ([a-z]+) ", done.stdout))
    assert typed <= set(_commands())
    assert {"build", "verify", "publish", "train", "evaluate", "search"} <= typed
    assert [line[2] for line in done.stdout.splitlines() if line[2:3].isdigit()] == list("12345")


def test_completion_can_be_installed() -> None:
    done = support.xtrove("--show-completion", "bash")
    assert done.returncode == 0 and "complete_bash" in done.stdout
