"""The `sources` section of the config, and the languages it names."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ingest.errors import ChangedInput, SourceError, TransientFault
from ingest.languages import (
    EXTENSIONS,
    LANGUAGES,
    language_of,
    normalise_language,
    settled_language,
    wanted_language,
)
from ingest.sources.base.source import Source
from ingest.sources.directory.source import DirectoryOptions
from ingest.sources.installed.source import InstalledOptions
from ingest.sources.pairs.source import PairsOptions
from ingest.sources.registry import SOURCES, SourceOptions
from ingest.sources.the_stack.source import TheStackOptions
from ingest.terms import OPEN, THE_STACK

ADAPTER: TypeAdapter[SourceOptions] = TypeAdapter(SourceOptions)


def test_kind_chooses_the_model() -> None:
    assert isinstance(ADAPTER.validate_python({"kind": "installed"}), InstalledOptions)
    for kind, model in (("directory", DirectoryOptions), ("the-stack", TheStackOptions)):
        assert isinstance(ADAPTER.validate_python({"kind": kind, "path": "x"}), model)
    pairs = ADAPTER.validate_python(
        {"kind": "pairs", "path": "a.jsonl", "columns": {"code": "positive"}}
    )
    assert isinstance(pairs, PairsOptions)
    assert (pairs.columns.query, pairs.columns.code) == ("query", "positive")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "directory", "path": "x", "languages": ["pyton"]}, "did you mean 'python'"),
        ({"kind": "directory", "path": "x", "languages": ["Golang"]}, "did you mean 'go'"),
        ({"kind": "directory", "path": "x", "languages": ["cobol"]}, "known are c, cpp"),
        ({"kind": "directory", "path": "x", "languages": []}, "languages is empty"),
        ({"kind": "directory", "path": "hf://datasets/a/b"}, "local folders only"),
        ({"kind": "directory", "path": "s3://a/b"}, "local folders only"),
        ({"kind": "the-stack", "path": "hf://a/b"}, r"write hf://datasets/OWNER/NAME"),
        ({"kind": "the-stack", "path": "hf://datasets/a"}, r"write hf://datasets/OWNER/NAME"),
        ({"kind": "the-stack", "path": "hf://datasets/a/b/../c"}, "no empty"),
        ({"kind": "directory", "path": "x", "opt_out": ["a/b/c"]}, "neither an owner"),
        ({"kind": "directory", "path": " "}, "is no path"),
        ({"kind": "pairs", "path": "ftp://me:Winter2024@h.net/x.jsonl"}, "holds a password"),
        ({"kind": "the-stack", "path": "https://:Winter2024@h.net/x"}, "holds a password"),
        ({"kind": "pairs", "path": "a.tsv"}, "not a format that is read"),
        ({"kind": "pairs", "path": "hf://datasets/o/n/a.XLSX"}, "not a format that is read"),
        (
            {"kind": "pairs", "path": "a.jsonl", "language": "JavaScript"},
            "did you mean 'javascript'",
        ),
        ({"kind": "pairs", "path": "a.jsonl", "columns": {"qery": "q"}}, "qery"),
        ({"kind": "directory", "path": "x", "declared_licenses": ["my own"]}, "no SPDX licence"),
        ({"kind": "directory", "path": "x", "max_per_language": 0}, "greater than or equal to 1"),
        ({"kind": "directory", "path": "x", "name": "../x"}, "pattern"),
        ({"kind": "floppy", "path": "x"}, "floppy"),
    ],
)
def test_wrong_words_are_refused_with_a_remedy(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(config)


def test_paths_become_absolute(tmp_path: Path) -> None:
    resolved = TheStackOptions(path="a/../b").resolved(tmp_path)
    assert isinstance(resolved, TheStackOptions)
    assert resolved.path == str(tmp_path.resolve() / "b")
    assert resolved.resolved(Path("/elsewhere")) == resolved
    assert InstalledOptions().resolved(tmp_path) == InstalledOptions()


def test_extensions_and_names() -> None:
    assert set(EXTENSIONS.values()) == set(LANGUAGES)
    assert language_of("a/B.PY") == "python"
    assert language_of("x.d.ts") == "typescript"
    assert [language_of(name) for name in ("a.pyi", "Makefile", "a.py/b", ".py", "a.txt")] == [
        ""
    ] * 5
    names = {"JavaScript": "javascript", "TSX": "typescript", "golang": "go", " PHP ": "php"}
    assert {name: normalise_language(name) for name in names} == names
    named = {"C++": "cpp", "c-sharp": "csharp", "C#": "csharp", "Kotlin": "kotlin", "C": "c"}
    assert {name: normalise_language(name) for name in named} == named
    assert normalise_language("cobol") == ""


@pytest.mark.parametrize(
    ("content", "language"),
    [
        (b'#include <stdio.h>\n#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void);\n', "c"),
        (b"/* a class of things\n   using std: none */\nstruct a { int class_; };\n", "c"),
        (b"#include <vector>\n", "cpp"),
        (b"class A : public B {\n", "cpp"),
        (b"  template <class T>\n", "cpp"),
        (b"inline namespace a {\n", "cpp"),
        (b"int f(std::string s);\n", "cpp"),
        (b"struct A {\n private:\n", "cpp"),
    ],
)
def test_a_header_is_c_or_cpp_by_its_content(content: bytes, language: str) -> None:
    assert settled_language("c", "a/B.H", content) == language
    assert settled_language("cpp", "b.h", content) == language
    assert settled_language("c", "b.c", content) == "c"
    assert settled_language("cpp", "b.hpp", content) == "cpp"


def test_a_header_is_listed_where_c_or_cpp_is_wanted() -> None:
    assert wanted_language("a.h", ("c", "cpp")) == "c"
    assert wanted_language("a.h", ("cpp", "go")) == "cpp"
    assert wanted_language("a.h", ("go",)) == ""
    assert wanted_language("a.c", ("cpp",)) == ""


def test_exceptions_survive_the_way_back_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(SourceError("bad", value="v", remedy="Do it.")))
    assert (error.value, error.remedy, str(error)) == ("v", "Do it.", "bad: v. Do it.")
    changed = pickle.loads(pickle.dumps(ChangedInput("a.py")))
    assert isinstance(changed, ChangedInput)
    assert changed.value == "a.py"
    fault = pickle.loads(pickle.dumps(TransientFault("a", "b")))
    assert (fault.path, fault.cause) == ("a", "b")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_every_source_states_what_others_ask_of_it(source: Source) -> None:
    assert source.terms in (OPEN, THE_STACK)
    assert all(name in source.options.model_fields for name in source.options.places)
    holds_out = "holds_out" in vars(source.options)
    assert holds_out == (source.holdout is not None)
    assert len([one for one in SOURCES if one.kind == source.kind]) == 1
