"""Installed packages: a made-up site folder for the rules, and the real environment."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from ingest.errors import SourceError
from ingest.licenses.policy import RESTRICTED, LicensePolicy
from ingest.records import Listing, Skip, SourceFile
from ingest.sources.installed import source as installed
from ingest.sources.installed.licenses import package_licences
from ingest.sources.installed.source import InstalledOptions, closure, plan, read

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this "
    'software and associated documentation files (the "Software"), to deal in the Software '
    "without restriction. The above copyright notice and this permission notice shall be "
    "included in all copies or substantial portions of the Software."
)


def install(
    site: Path, name: str, metadata: str = "", files: dict[str, str] | None = None, record: str = ""
) -> None:
    """A wheel's worth of files, unpacked."""
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    contents = {
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}",
        **{path.replace("INFO", info): text for path, text in (files or {}).items()},
    }
    for path, text in contents.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    lines = "".join(f"{path},,\n" for path in contents)
    (site / info / "RECORD").write_text(lines + record)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own: the search path holds nothing else."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def run(**options: object) -> tuple[Listing, dict[str, SourceFile | Skip]]:
    chosen = InstalledOptions.model_validate({"stdlib": False, "packages": "all", **options})
    listing = plan(chosen, "env", LicensePolicy())
    records: dict[str, SourceFile | Skip] = {}
    for slice_ in listing.slices:
        result = read(chosen, "env", LicensePolicy(), slice_, listing.revision)
        for part, one in zip(slice_.parts, result, strict=True):
            records[part.name] = one
    return listing, records


def reasons(records: dict[str, SourceFile | Skip]) -> dict[str, str]:
    return {name: one.reason if isinstance(one, Skip) else "file" for name, one in records.items()}


def test_a_package_is_a_repository_at_a_version(site: Path) -> None:
    metadata = (
        "License-Expression: mit\n"
        "Project-URL: Sponsor, https://github.com/sponsors/me\n"
        "Project-URL: Docs, https://github.com/aaa/docs\n"
        "Project-URL: Source, https://github.com/owner/a-repo\n"
    )
    install(site, "A.Pkg", metadata, {"a/x.py": "x = 1\n", "a/y.js": "y\n", "a/data.txt": ""})
    install(site, "bare", "License-Expression: ISC\n", {"bare.py": ""})
    listing, records = run()
    assert reasons(records) == {
        "a-pkg/a/x.py": "file",
        "a-pkg/a/y.js": "file",
        "bare/bare.py": "file",
    }
    one = records["a-pkg/a/x.py"]
    assert isinstance(one, SourceFile)
    assert (one.repo, one.path, one.revision, one.url) == ("owner/a-repo", "a/x.py", "1.0", "")
    assert (one.licenses, one.license_evidence) == (("MIT",), "License-Expression: mit")
    other = records["bare/bare.py"]
    assert isinstance(other, SourceFile)
    assert other.repo == "pypi/bare"
    assert ("package a-pkg", "1.0") in listing.provenance
    assert str(site) not in repr((listing.provenance, listing.revision))
    assert set(run(languages=["javascript"])[1]) == {"a-pkg/a/y.js"}


LICENCES: list[tuple[str, dict[str, str], tuple[str, ...], str]] = [
    ("License-Expression: MIT AND ISC\nLicense: GPL-3.0\n", {}, ("ISC", "MIT"), "License-Expr"),
    (
        "Classifier: License :: OSI Approved :: MIT License\n",
        {},
        ("MIT",),
        "Classifier: MIT License",
    ),
    (
        "License: MIT\n"
        "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n",
        {},
        ("GPL-3.0-only",),
        "Classifier: GNU",
    ),
    (
        "License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License\n",
        {},
        ("BSD-3-Clause",),
        "License: BSD-3-Clause",
    ),
    ("License: Apache License, Version 2.0\n", {}, ("Apache-2.0",), "License: Apache License"),
    ("License: my own\n", {"INFO/licenses/LICENSE": MIT}, ("MIT",), "LICENSE: text of MIT"),
    ("", {"INFO/LICENSE.txt": MIT}, ("MIT",), "LICENSE.txt: text of MIT"),
    ("", {"INFO/LICENSE": "Ask me."}, (), "licence not recognised"),
    ("Classifier: License :: OSI Approved :: BSD License\n", {}, (), "no licence"),
    ("", {}, (), "no licence"),
    ("License-Expression: nonsense\n", {"INFO/LICENSE": MIT}, (), "License-Expression is not"),
    (
        "License-Expression: MIT AND LicenseRef-Commons-Clause\nLicense: MIT\n",
        {"INFO/LICENSE": MIT},
        (),
        "License-Expression is not recognised: sha256 ",
    ),
    (
        "License: GPL v3\n",
        {"INFO/LICENSE": MIT},
        ("GPL-1.0-or-later",),
        "License field names GPL-1.0-or-later",
    ),
    (
        "License: LGPLv2.1+\n",
        {"INFO/LICENSE": MIT},
        ("LGPL-2.0-or-later",),
        "License field names LGPL-2",
    ),
    (
        "License: GNU Affero GPL\nClassifier: License :: OSI Approved :: MIT License\n",
        {},
        ("AGPL-1.0-or-later",),
        "License field names AGPL-1.0-or-later",
    ),
    (
        "License: GPL v3\n",
        {"INFO/LICENSE": "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"},
        ("GPL-3.0-only",),
        "LICENSE: text of GPL-3.0-only",
    ),
    ("License: MPL 2.0\n", {"INFO/LICENSE": MIT}, ("MIT",), "LICENSE: text of MIT"),
    ("License: Proprietary\n", {"INFO/LICENSE": MIT}, (RESTRICTED,), "License field says 'prop"),
    ("License: MIT + Commons Clause\n", {}, (RESTRICTED,), "License field says 'commons cl"),
    (
        "License: MIT\nClassifier: License :: Other/Proprietary License\n",
        {"INFO/LICENSE": MIT},
        (RESTRICTED,),
        "Classifier: Other/Proprietary License",
    ),
    ("License: MIT/GPL\n", {"INFO/LICENSE": MIT}, ("MIT",), "LICENSE: text of MIT"),
    ("License: BSD\n", {"INFO/LICENSE": MIT}, ("MIT",), "LICENSE: text of MIT"),
    ("License: Apache 2\n", {}, ("Apache-2.0",), "License: Apache 2"),
    ("License: UNKNOWN\n", {"INFO/LICENSE": MIT}, ("MIT",), "LICENSE: text of MIT"),
    ("License: \n", {"INFO/LICENSE": MIT}, ("MIT",), "LICENSE: text of MIT"),
]


@pytest.mark.parametrize(("metadata", "files", "expected", "evidence"), LICENCES)
def test_where_a_licence_is_looked_for(
    site: Path, metadata: str, files: dict[str, str], expected: tuple[str, ...], evidence: str
) -> None:
    install(site, "p", metadata, {"p/x.py": "", **files})
    (dist,) = distributions()
    ids, output = package_licences(dist)
    assert ids == expected
    assert output.startswith(evidence)
    expected_reason = "license_unknown" if not expected else None
    if any("GPL" in one or one == RESTRICTED for one in expected):
        expected_reason = "license_not_permissive"
    assert reasons(run()[1]) == {"p/p/x.py": expected_reason or "file"}


def test_files_outside_the_package_are_never_read(site: Path) -> None:
    outside = site.parent / "secret.py"
    outside.write_text("secret\n")
    (site / "way").symlink_to(site.parent)
    record = "../secret.py,,\nway/secret.py,,\nlink.py,,\ngone.py,,\n" + f"{outside},,\n"
    (site / "link.py").symlink_to(outside)
    install(site, "p", "License-Expression: MIT\n", {"p.py": ""}, record)
    result = reasons(run()[1])
    assert result.pop("p/p.py") == "file"
    assert result.pop("p/link.py") == "symlink"
    assert "p/gone.py" not in result
    assert set(result.values()) == {"outside_package"}
    assert len(result) == 3


def test_ourselves_editable_and_recordless_packages_are_left_out(site: Path) -> None:
    install(site, "p", "License-Expression: MIT\n", {"p.py": ""})
    install(site, "xtrove", "License-Expression: MIT\n", {"hall.py": ""})
    editable = {"edit.py": "", "INFO/direct_url.json": '{"dir_info": {"editable": true}}'}
    install(site, "edit", "License-Expression: MIT\n", editable)
    install(site, "old", "License-Expression: MIT\n", {"old.py": ""})
    (site / "old-1.0.dist-info/RECORD").unlink()
    listing, records = run()
    assert set(records) == {"p/p.py"}
    assert [one.name for one in listing.quarantined] == ["old"]


def test_a_file_of_two_packages_is_read_once(site: Path) -> None:
    for name in ("one", "two"):
        install(site, name, "License-Expression: MIT\n", {"shared.py": ""})
    assert set(run()[1]) == {"one/shared.py"}


def test_dependencies_follow_markers_and_asked_extras(site: Path) -> None:
    needs = {
        "xtrove": ["a[fast]>=1", 'never; python_version < "3"', 'dev-tool; extra == "dev"'],
        "a": ['b; extra == "fast"', 'c; extra == "slow"', "d"],
        "b": ["a", "E_E"],
        "d": [],
        "e-e": ["missing"],
        "c": [],
        "never": [],
        "dev-tool": [],
    }
    for name, lines in needs.items():
        requires = "".join(f"Requires-Dist: {line}\n" for line in lines)
        install(site, name, f"License-Expression: MIT\n{requires}", {f"{name}.py": ""})
    result: dict[str, Distribution] = {dist.metadata["Name"]: dist for dist in distributions()}
    assert closure("xtrove", result) == ["a", "b", "d", "e-e", "missing"]
    listing, records = run(packages="dependencies")
    assert {name.split("/")[0] for name in records} == {"a", "b", "d", "e-e"}
    assert ("missing packages", "missing") in listing.provenance
    assert {name.split("/")[0] for name in run(packages=["E.E"])[1]} == {"e-e"}


def test_what_is_not_installed_stops_the_build(site: Path) -> None:
    with pytest.raises(SourceError, match=r"pip install -e \."):
        run(packages="dependencies")
    with pytest.raises(SourceError, match="nope"):
        run(packages=["nope"])
    with pytest.raises(SourceError, match="no installed file"):
        run()


def test_the_standard_library_of_this_python() -> None:
    records = run(stdlib=True, packages=[])[1]
    code = records["python-cpython/json/decoder.py"]
    assert isinstance(code, SourceFile)
    assert (code.repo, code.path) == ("python/cpython", "Lib/json/decoder.py")
    assert code.revision == f"v{sys.version.split()[0]}"
    assert code.licenses == ("PSF-2.0",)
    assert "Python Software Foundation" in code.license_evidence
    path = Path(sys.modules["json.decoder"].__file__ or "")
    assert hashlib.sha256(code.content).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert not [name for name in records if "site-packages" in name or "_sysconfigdata" in name]
    assert {record.language for record in records.values()} == {"python"}


def test_everything_installed_is_planned_twice_alike() -> None:
    options = InstalledOptions(packages=("pyarrow", "click"), stdlib=False)
    heard: list[int] = []
    first = plan(options, "e", LicensePolicy(), None, heard.append)
    assert first == installed.plan(options, "e", LicensePolicy())
    assert sum(heard) == sum(part.size for slice_ in first.slices for part in slice_.parts)
