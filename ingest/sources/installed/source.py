"""Source `installed`: the Python standard library and packages, as installed here.

Method: packages are found through their metadata, their files through RECORD; the default set
is what xtrove itself depends on, by its base requirements, with markers evaluated and extras
followed only where a requirement asks for them. A package is a repository: the GitHub project
it names, else `pypi/NAME`; its version is the revision. No link is made up: that a file of a
wheel lies in the repository under the same path is not known.
Cost: one read of every file by the driver. Limits: files up to 1 MB inside the folder of
installed packages; editable installs, xtrove itself and packages without RECORD are left out.
Source: core metadata, PEP 376 (RECORD), PEP 508 (markers), PEP 610 (direct_url.json).
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import Distribution, PackageMetadata, PackagePath, distributions
from pathlib import Path
from typing import Any, ClassVar, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ingest.errors import SourceError
from ingest.file_sizes import MAX_FILE_BYTES
from ingest.files import (
    INVALID_PATH,
    SYMLINK,
    FileDigest,
    Found,
    Progress,
    Wish,
    digest_files,
    github_repo,
    look,
    skipped_folder,
    walk,
)
from ingest.languages import wanted_language
from ingest.licenses import LicensePolicy
from ingest.records import Listing, Part, Quarantine, Skip, Slice, SourceFile
from ingest.slicing import content_revision
from ingest.sources.base import (
    CommonOptions,
    Origin,
    Sample,
    Source,
    file_part,
    read_files,
    slice_files,
    thinned,
)
from ingest.sources.installed.licenses import package_licences
from ingest.terms import OPEN
from ingest.transport import ReadLimits

OURSELVES = "xtrove"
OUTSIDE = "outside_package"
_SOURCE_LABELS = ("source", "source code", "repository", "code", "github", "homepage", "home")
# Written by the build of Python: paths of the machine it was built on, and no functions.
_STDLIB_EXCLUDE = ("_sysconfigdata*", "config-*")


class InstalledOptions(CommonOptions):
    """What is installed in the environment that plans the build."""

    kind: Literal["installed"] = "installed"
    packages: Literal["dependencies", "all"] | tuple[str, ...] = "dependencies"
    stdlib: bool = True
    places: ClassVar[tuple[str, ...]] = ()

    def wanted(self) -> frozenset[str]:
        """The languages to read; C and C++ only where they are named: wheels hold the headers of
        other projects to compile against, which declare and define little."""
        languages = super().wanted()
        return languages - {"c", "cpp"} if self.languages is None else languages


@dataclass(frozen=True, kw_only=True, slots=True)
class _Unit:
    """One package, or the standard library, with what holds for all of its files."""

    label: str
    repo: str
    revision: str
    licenses: tuple[str, ...]
    evidence: str
    files: tuple[tuple[Found, str], ...]
    """Each candidate with its path in the repository."""


def plan(
    options: InstalledOptions,
    name: str,
    policy: LicensePolicy,
    slice_bytes: int | None = None,
    progress: Progress | None = None,
    limits: ReadLimits | None = None,
    sample: Sample | None = None,
) -> Listing:
    """List what is installed. Raises `SourceError` for a package that is not."""
    distributions = _installed()
    chosen = _chosen(options, distributions)
    units = [_stdlib(options)] if options.stdlib else []
    units += _packages(options, [distributions[key] for key in chosen if key in distributions])
    files = thinned([unit.files for unit in units], lambda pair: pair[0], sample)
    units = [replace(unit, files=tuple(kept)) for unit, kept in zip(units, files, strict=True)]
    readable = [
        distributions.path
        for unit in units
        for distributions, _ in unit.files
        if not distributions.problem
    ]
    wishes = [Wish(path=path, cap=MAX_FILE_BYTES) for path in readable]
    digests = dict(zip(readable, digest_files(wishes, progress), strict=True))
    groups = [_parts(unit, digests) for unit in units]
    entries = [(part.name, part.digest) for group in groups for part in group]
    if not any(digest for _, digest in entries):
        raise SourceError(
            f"no installed file of {', '.join(sorted(options.wanted()))}",
            value=options.packages,
            remedy="Check `packages`, `stdlib` and `languages`.",
        )
    versions = tuple((unit.label, unit.revision) for unit in units)
    revision = content_revision([*versions, *entries])
    facts = {"kind": options.kind, "policy": policy.policy_digest(), "revision": revision}
    return Listing(
        source=name,
        kind=options.kind,
        terms=OPEN,
        revision=revision,
        slices=slice_files(groups, source=name, slice_bytes=slice_bytes, facts=facts),
        quarantined=tuple(
            Quarantine(name=key, reason="the package has no list of files (RECORD)")
            for key in chosen
            if key in distributions and distributions[key].files is None
        ),
        provenance=(
            *((f"package {label}", version) for label, version in versions),
            ("missing packages", ", ".join(key for key in chosen if key not in distributions)),
            ("files", str(len(entries))),
        ),
        rows=len(entries),
    )


def read(
    options: InstalledOptions,
    name: str,
    policy: LicensePolicy,
    slice_: Slice,
    revision: str,
    limits: ReadLimits | None = None,
    *,
    sampled: bool = False,
) -> Iterator[SourceFile | Skip]:
    """The files of a slice: see `ingest.sources.base.whole_files.read_files`."""
    return read_files(policy, slice_, revision, options.wanted())


def closure(base: str, distributions: Mapping[str, Distribution]) -> list[str]:
    """Canonical names of what `base` requires, directly or not, sorted; `base` is not in it."""
    done: set[tuple[str, str]] = set()
    pending: list[tuple[str, frozenset[str]]] = [(base, frozenset())]
    while pending:
        key, extras = pending.pop()
        fresh = [extra for extra in ("", *sorted(extras)) if (key, extra) not in done]
        done.update((key, extra) for extra in fresh)
        if fresh and key in distributions:
            pending.extend(_required(distributions[key], fresh))
    return sorted({key for key, _ in done} - {base})


def _required(dist: Distribution, extras: list[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for line in dist.requires or ():
        try:
            need = Requirement(line)
        except InvalidRequirement:
            continue
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
            yield canonicalize_name(need.name), frozenset(need.extras)


class _ReadOnce(Distribution):
    """A distribution that parses its metadata and its list of files once, not at each look."""

    def __init__(self, dist: Distribution) -> None:
        self._dist = dist

    def read_text(self, filename: str) -> str | None:
        return self._dist.read_text(filename)

    def locate_file(self, path: Any) -> Any:
        return self._dist.locate_file(path)

    @cached_property
    def metadata(self) -> PackageMetadata:
        return self._dist.metadata

    @cached_property
    def files(self) -> list[PackagePath] | None:
        return self._dist.files


def _installed() -> dict[str, Distribution]:
    """Canonical name -> distribution; the first on the path wins, as in an import."""
    by_name: dict[str, Distribution] = {}
    for dist in map(_ReadOnce, distributions()):
        name = dist.metadata["Name"] if dist.metadata is not None else None
        if name:
            by_name.setdefault(canonicalize_name(name), dist)
    return by_name


def _chosen(options: InstalledOptions, distributions: Mapping[str, Distribution]) -> list[str]:
    if options.packages == "all":
        return sorted(set(distributions) - {OURSELVES})
    if options.packages == "dependencies":
        if OURSELVES not in distributions:
            raise SourceError(
                "the dependencies of xtrove are not known, for it is not installed",
                value=OURSELVES,
                remedy="Run `pip install -e .` in the checkout, or name `packages`.",
            )
        return closure(OURSELVES, distributions)
    keys = sorted({str(canonicalize_name(item)) for item in options.packages})
    for key in keys:
        if key not in distributions:
            raise SourceError(
                "a package of this source is not installed",
                value=key,
                remedy=f"Run `pip install {key}`, or take it out of `packages`.",
            )
    return keys


def _stdlib(options: InstalledOptions) -> _Unit:
    root = Path(sysconfig.get_path("stdlib"))
    tree = walk(root, languages=options.wanted(), exclude=_STDLIB_EXCLUDE)
    info = sys.version_info
    pre = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(info.releaselevel)
    version = f"v{info.major}.{info.minor}.{info.micro}" + (f"{pre}{info.serial}" if pre else "")
    licenses, evidence = options.settled(
        ("PSF-2.0",), "the Python Software Foundation License of the standard library"
    )
    return _Unit(
        label="python/cpython",
        repo="python/cpython",
        revision=version,
        licenses=licenses,
        evidence=evidence,
        files=tuple((file, f"Lib/{file.name}") for file in tree.files),
    )


def _packages(options: InstalledOptions, dists: list[Distribution]) -> list[_Unit]:
    units: list[_Unit] = []
    owned: set[str] = set()
    for dist in dists:
        if dist.files is None or _is_editable(dist):
            continue
        files = tuple(
            (file, path) for file, path in _files(options, dist) if file.path not in owned
        )
        owned.update(file.path for file, _ in files)
        if files:
            units.append(_package(options, dist, files))
    return units


def _package(
    options: InstalledOptions, dist: Distribution, files: tuple[tuple[Found, str], ...]
) -> _Unit:
    key = canonicalize_name(dist.metadata["Name"])
    licenses, evidence = options.settled(*package_licences(dist))
    return _Unit(
        label=key,
        repo=_repo(dist) or f"pypi/{key}",
        revision=dist.version,
        licenses=licenses,
        evidence=evidence,
        files=files,
    )


def _is_editable(dist: Distribution) -> bool:
    try:
        facts = json.loads(dist.read_text("direct_url.json") or "{}")
        return bool(facts["dir_info"]["editable"])
    except (ValueError, KeyError, TypeError):
        return False


def _files(options: InstalledOptions, dist: Distribution) -> Iterator[tuple[Found, str]]:
    site = os.path.realpath(str(dist.locate_file("")))
    languages = options.wanted()
    inside: dict[str, bool] = {}
    for path in sorted(str(file) for file in dist.files or ()):
        if not wanted_language(path, languages):
            continue
        seen_file = look(str(dist.locate_file(path)), path, languages)
        if seen_file is None:
            continue
        folders = path.split("/")[:-1]
        folder = str(Path(seen_file.path).parent)
        if folder not in inside:
            inside[folder] = _is_inside(folder, site)
        if ".." in folders or path.startswith("/") or not inside[folder]:
            yield _refused(seen_file, OUTSIDE), path
        elif not any(skipped_folder(folder) for folder in folders):
            yield seen_file, path


def _is_inside(folder: str, site: str) -> bool:
    """Whether the real folder of a file is in the real folder of installed packages."""
    # The last component is never followed when the file is opened: only folders can lead out.
    folder = os.path.realpath(folder)
    return folder == site or folder.startswith(f"{site}/")


def _refused(file: Found, problem: str) -> Found:
    kept = file.problem if file.problem in (SYMLINK, INVALID_PATH) else problem
    return Found(
        name=file.name, path=file.path, size=file.size, language=file.language, problem=kept
    )


def _repo(dist: Distribution) -> str:
    """The GitHub repository that the project links to, the likeliest label first."""
    links = [line.partition(",") for line in dist.metadata.get_all("Project-URL", [])]
    labelled = [(label.strip().casefold(), url.strip()) for label, _, url in links]
    labelled.append(("home", next(iter(dist.metadata.get_all("Home-page", [])), "")))
    rank = {label: index for index, label in enumerate(_SOURCE_LABELS)}
    for _, url in sorted(labelled, key=lambda pair: (rank.get(pair[0], len(rank)), pair)):
        repo = github_repo(url)
        if repo:
            return repo
    return ""


def _parts(unit: _Unit, digests: Mapping[str, FileDigest | str]) -> list[Part]:
    parts: list[Part] = []
    for file, path in unit.files:
        digest = digests.get(file.path)
        origin = _origin(unit, path) if isinstance(digest, FileDigest) else None
        named = Found(
            name=f"{_folder(unit)}/{file.name}",
            path=file.path,
            size=file.size,
            language=file.language,
            problem=file.problem,
        )
        parts.append(file_part(named, digest, origin))
    return parts


def _folder(unit: _Unit) -> str:
    return re.sub(r"[^\w.-]", "-", unit.label)


def _origin(unit: _Unit, path: str) -> Origin:
    return Origin(
        repo=unit.repo,
        path=path,
        revision=unit.revision,
        url="",
        licenses=unit.licenses,
        evidence=unit.evidence,
    )


SOURCE = Source(options=InstalledOptions, plan=plan, read=read, terms=OPEN)
