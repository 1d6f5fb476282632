"""The config: what is refused, with which words, and what decides the digest."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.extract.secret_samples import drawn
from xtrove.config import build as configs
from xtrove.core.errors import Misuse

MINIMAL = "name: mine\nsources:\n  - {kind: directory, path: /code}\n"


def _file(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _refused(folder: Path, text: str, *settings: str) -> str:
    with pytest.raises(Misuse) as caught:
        configs.load(_file(folder, text), settings)
    assert caught.value.exit_code == 2
    return f"{caught.value.message}\n{caught.value.remedy}"


def test_the_embedded_default_is_the_library_and_our_own_dependencies() -> None:
    config = configs.load(None)
    assert [source.kind for source in config.sources] == ["installed"]
    assert config.output == "data/installed"


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    config = configs.load(_file(tmp_path, MINIMAL))
    assert (config.filters.min_query_chars, config.filters.min_code_chars) == (15, 50)
    assert config.filters.max_code_chars == 8000
    assert (config.dedupe.threshold, config.dedupe.ngram) == (0.7, 5)
    assert (config.dedupe.bands, config.dedupe.rows) == (36, 7)
    assert (config.query_cap.per_repo, config.query_cap.total) == (1, 3)
    assert config.shards.max_bytes == 256_000_000
    assert config.output == "data/mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dedup: {threshold: 0.7}\n", ["dedup", "did you mean 'dedupe'?"]),
        ("dedupe: {treshold: 0.7}\n", ["dedupe.treshold", "did you mean 'threshold'?"]),
        (
            "filters: {min_query_char: 3}\n",
            ["filters.min_query_char", "did you mean 'min_query_chars'?"],
        ),
        ("shards: {splits: {valid: 0.1}}\n", ["shards.splits.valid", "'validation'"]),
        ("licenses: {allow: permissive, unknwon: keep}\n", ["licenses.unknwon", "'unknown'"]),
        ("dedupe: {threshold: 7}\n", ["dedupe.threshold", "7"]),
        ("workers: -1\n", ["workers", "-1"]),
        ("output: s3://bucket/x\n", ["output", "s3://bucket/x", "shared folder"]),
        ("filters: {max_file_bytes: 2000000}\n", ["filters.max_file_bytes", "1,000,000"]),
        ("name: again\n", ["'name' stands twice", "line 4"]),
    ],
)
def test_a_fault_is_named_with_its_place_and_a_remedy(
    text: str, words: list[str], tmp_path: Path
) -> None:
    message = _refused(tmp_path, MINIMAL + text)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{kind: directory, path: x, exlude: ['*.py']}", ["sources.0.exlude", "'exclude'"]),
        ("{kind: directroy, path: x}", ["sources.0", "directroy"]),
        ("{kind: directory}", ["sources.0.path", "missing"]),
        ("{kind: directory, path: x, languages: [pyton]}", ["pyton", "python"]),
    ],
)
def test_a_fault_of_a_source_is_named(source: str, words: list[str], tmp_path: Path) -> None:
    message = _refused(tmp_path, f"name: mine\nsources:\n  - {source}\n")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("{kind: the_stack, path: x}",
         "sources.0.kind: unknown kind 'the_stack'; did you mean 'the-stack'?"),
        ("{kind: thestack-v2, path: x}", "'thestack-v2'; did you mean 'the-stack-v2'?"),
        ("{kind: Pair, path: x}", "unknown kind 'Pair'; did you mean 'pairs'?"),
        ("{kind: code-search-net, path: x}", "did you mean 'codesearchnet'?"),
        ("{kind: common_pile, path: x}", "did you mean 'common-pile-stack'?"),
        ("{kind: zzz, path: x}", "unknown kind 'zzz'; known kinds: installed, directory, git-h"),
        ("{kind: 5, path: x}", "unknown kind '5'; known kinds: installed"),
        ("{path: x}", "sources.0.kind: is missing; known kinds: installed"),
        ("{kind: codesearchnet, path: x, partition: hold_out}",
         "sources.0.partition: unknown word 'hold_out'; did you mean 'holdout'?"),
        ("{kind: codesearchnet, path: x, partition: zzz}", "'zzz'; known words: holdout, keep"),
        ("{kind: installed, packages: dependancies}",
         "sources.0.packages: unknown word 'dependancies'; did you mean 'dependencies'? (a"),
        ("{kind: pairs, path: x, declared_licenses: [Apache 2.0]}", "did you mean 'Apache-2.0'?"),
        ("{kind: pairs, path: x, declared_licenses: [MIT License]}", "did you mean 'MIT'?"),
        ("{kind: pairs, path: x, language: pyhton}", "did you mean 'python'?"),
    ],
)  # fmt: skip
def test_the_nearest_word_is_named_in_a_source(source: str, near: str, tmp_path: Path) -> None:
    message = _refused(tmp_path, f"name: mine\nsources:\n  - {source}\n")
    assert near in message
    # One fault is one line, whatever pydantic tried.
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("licenses: {allow: permisive}", "licenses.allow: unknown word 'permisive'; did you mean"),
        ("licenses: {allow: MIT}", "known words: permissive (a list is written [a, b])"),
        ("licenses: {allow: [mit-licence]}", "licenses.allow: 'mit-licence'"),
        ("licenses: {allow: [Apache2]}", "did you mean 'Apache-2.0'?"),
        ("licenses: {allow: [BSD]}", "see https://spdx.org/licenses"),
        ("licenses: {unknown: kep}", "licenses.unknown: unknown word 'kep'; did you mean 'keep'?"),
        ("redact: [emails]", "redact.0: unknown word 'emails'; did you mean 'email'?"),
        ("filters: {generated: Drop}", "filters.generated: unknown word 'Drop'; did you mean"),
        ("filters: {generated: true}", "Input should be 'drop' or 'keep' (found True)"),
        ("shards: {splits: {by: repos}}",
         "shards.splits.by: unknown word 'repos'; did you mean 'repository'?"),
    ],
)  # fmt: skip
def test_the_nearest_word_of_a_set_is_named(text: str, near: str, tmp_path: Path) -> None:
    message = _refused(tmp_path, f"{MINIMAL}{text}\n")
    assert near in message
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "name: m\nsources:\n  - {kind: SECRET, path: x}\n",
        "name: m\nsources:\n  - {kind: pairs, path: x, declared_licenses: [SECRET]}\n",
        f"{MINIMAL}redact: [SECRET]\n",
        f"{MINIMAL}licenses: {{allow: [SECRET]}}\n",
    ],
)
def test_a_word_that_is_a_secret_is_not_shown(text: str, tmp_path: Path) -> None:
    secret = drawn("ghp_{w36}", Random(1))
    message = _refused(tmp_path, text.replace("SECRET", secret))
    assert secret not in message


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    message = _refused(tmp_path, MINIMAL + "dedup: 1\nworkers: none\n")
    assert "dedup:" in message
    assert "workers:" in message


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "a: [1\n", "just words", "\tx: 1"])
def test_what_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    assert "config.yaml" in _refused(tmp_path, text)


def test_merge_keys_are_yaml(tmp_path: Path) -> None:
    text = (
        "name: mine\nsources:\n"
        "  - &code {kind: directory, path: /code, languages: [go], declared_licenses: [MIT]}\n"
        "  - {<<: *code, path: /more}\n"
        "  - {<<: *code, path: /third, languages: [rust]}\n"
    )
    sources = configs.load(_file(tmp_path, text)).dump()["sources"]
    assert [(source["path"], source["languages"]) for source in sources] == [
        ("/code", ["go"]),
        ("/more", ["go"]),
        ("/third", ["rust"]),
    ]
    twice = text.replace("path: /more", "path: /more, path: /again")
    assert "'path' stands twice" in _refused(tmp_path, twice)


@pytest.mark.parametrize("key", ["generated", "vendored"])
def test_filters_that_a_source_cannot_follow_are_refused(key: str, tmp_path: Path) -> None:
    text = f"filters: {{{key}: keep}}\n"
    flagged = "name: mine\nsources:\n  - {kind: common-pile-stack, path: /pile}\n"
    message = _refused(tmp_path, flagged + text)
    assert f"filters.{key}: keep has no effect on common-pile-stack" in message
    assert configs.load(_file(tmp_path, MINIMAL + text)).filters.model_dump()[key] == "keep"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="none.yaml"):
        configs.load(tmp_path / "none.yaml")


def test_set_changes_keys_and_lists_in_order(tmp_path: Path) -> None:
    settings = [
        "dedupe.threshold=0.8",
        "dedupe.threshold=0.9",
        "sources.0.max_per_language=5",
        "shards.max_bytes=1MiB",
        "redact=[email]",
    ]
    config = configs.load(_file(tmp_path, MINIMAL), settings)
    assert config.dedupe.threshold == 0.9
    assert config.sources[0].max_per_language == 5
    assert config.shards.max_bytes == 1 << 20
    assert config.redact == ("email",)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dedupe.treshold=1", "did you mean 'threshold'?"),
        ("nonsense", "key.path=value"),
        ("=3", "key.path=value"),
        ("sources.7.path=x", "no position in a list of 1"),
        ("name.first=x", "has no keys"),
        ("name=[", "not a YAML value"),
    ],
)
def test_a_bad_set_is_refused(setting: str, words: str, tmp_path: Path) -> None:
    assert words in _refused(tmp_path, MINIMAL, setting)


def test_the_printed_config_is_the_same_config(tmp_path: Path) -> None:
    config = configs.load(_file(tmp_path, MINIMAL), ["dedupe.threshold=0.75"])
    again = configs.load(_file(tmp_path, configs.as_yaml(config)))
    assert again == config


def test_the_digest_leaves_out_where_and_how_fast(tmp_path: Path) -> None:
    base = configs.load(_file(tmp_path, MINIMAL)).digest()
    for same in ("output=/a", "work=/b", "workers=3", "sources.0.path=/elsewhere"):
        assert configs.load(_file(tmp_path, MINIMAL), [same]).digest() == base
    for other in ("dedupe.threshold=0.8", "name=yours", "redact=[]", "query_cap.total=4"):
        assert configs.load(_file(tmp_path, MINIMAL), [other]).digest() != base


def test_two_sources_of_one_kind_get_names_of_their_own(tmp_path: Path) -> None:
    text = MINIMAL + "  - {kind: directory, path: /more}\n"
    assert configs.load(_file(tmp_path, text)).source_names() == ["directory", "directory-2"]
    twice = "name: x\nsources:\n" + "  - {kind: directory, path: /a, name: same}\n" * 2
    assert "'same' stands twice" in _refused(tmp_path, twice)


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4))
def test_no_mapping_breaks_the_checks(data: dict[str, int | str]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    parsed = configs.parse_yaml(text, name="test")
    with pytest.raises(Misuse):
        configs.validate(parsed, name="test")
