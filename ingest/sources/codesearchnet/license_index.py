"""The licences of CodeSearchNet: full texts by repository, from its `<language>_licenses.pkl`.

Method: the pickle is read as plain values only (`ingest.formats.plain_pickle`); each repository has
licence files (path and text), and a source file is under those of the nearest folder above it
(`ingest.licenses.license_files`), matched by `ingest.licenses.text_match`. Texts are matched when a
row first asks. Cost: reading 0.1 s for 13,000 repositories (21 MB), matching 0.1 ms a kilobyte of
text. Memory: the size of the pickle. Limits: values of another shape make the whole pickle
unusable, since it is then not what this reader knows; a repository that is not in it has no
licence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from ingest.fault_text import digest_of
from ingest.formats import HostilePickle, load_plain
from ingest.licenses import Licences, LicenseFiles, is_licence_file, licences_of_texts

MAX_TEXT_CHARS = 512 * 1024
_Texts = tuple[tuple[str, str], ...]
"""Paths and texts of licence files."""


class LicenseIndex:
    """What is known of the licences of one language."""

    def __init__(self, name: str, texts: Mapping[str, _Texts]) -> None:
        self._name = name
        self._texts = texts
        self._license_files: dict[str, LicenseFiles | Licences] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def of(self, repo: str, path: str) -> Licences:
        """SPDX identifiers of a file (none when unknown) and the evidence."""
        texts = self._texts.get(repo.casefold())
        if texts is None:
            return (), f"{self._name}: no entry for the repository"
        if repo.casefold() not in self._license_files:
            self._license_files[repo.casefold()] = _judge(texts)
        known = self._license_files[repo.casefold()]
        ids, evidence = known.of(path) if isinstance(known, LicenseFiles) else known
        return ids, f"{self._name}: {evidence}"[:200]


def parse_license_index(name: str, data: bytes) -> LicenseIndex:
    """The index in a pickle. Raises `HostilePickle` with the reason it cannot be used."""
    value = load_plain(data)
    if not isinstance(value, dict):
        raise HostilePickle(f"holds {type(value).__name__}, not a dict of repositories")
    texts = {repo.casefold(): tuple(_entries(repo, entry)) for repo, entry in value.items()}
    return LicenseIndex(name, texts)


def _entries(repo: str, value: object) -> Iterator[tuple[str, str]]:
    """`(path, text)`, or several of them, or `{path: text}`."""
    pair = _pair(value)
    if pair is not None:
        yield pair
        return
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, (list, tuple)):
        raise HostilePickle(f"{_of(repo)} has {type(value).__name__}, not licence files")
    for item in value:
        pair = _pair(item)
        if pair is None:
            raise HostilePickle(f"{_of(repo)} has {type(item).__name__}, not (path, text)")
        yield pair


def _of(repo: str) -> str:
    return f"the entry of a repository ({digest_of(repo)})"


def _pair(value: object) -> tuple[str, str] | None:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        path, text = value
        if isinstance(path, str) and isinstance(text, str):
            return _clean(path), text[:MAX_TEXT_CHARS]
    return None


def _clean(path: str) -> str:
    steps = [step for step in path.split("/") if step not in ("", ".")]
    return "/".join(steps)


def _judge(texts: _Texts) -> LicenseFiles | Licences:
    """Licence files by folder; all texts together where no file has the name of one."""
    named = {
        path: _bytes(text) for path, text in texts if is_licence_file(PurePosixPath(path).name)
    }
    if not named:
        licences = licences_of_texts((path or "licence", _bytes(text)) for path, text in texts)
        return licences or ((), "no licence file")
    folders: dict[str, tuple[str, ...]] = {}
    for path in sorted(named):
        folder, _, name = path.rpartition("/")
        folders[folder] = (*folders.get(folder, ()), name)
    return LicenseFiles(folders, named.get)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
