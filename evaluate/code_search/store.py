"""Where indexes of code are kept: a folder each, named by what it is made of.

Method: `cache_folder("search")` of `xtrove.core` holds `<key>/` and `<key>.lock`; the key hashes
the folder's real path, the fingerprint of the model and what cuts files. That fingerprint is
kept beside the sizes and times of its files, as hashing 1 GB takes a second. When all together are
over `LIMIT`, the least recently used go, unless they are in use.
Cost: one `stat` a file of the model. Limits: an index never lies in what it indexes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evaluate.code_search.state import FORMAT, hint_of
from extract.parsing import extractor_id
from ingest import EXTENSIONS
from ingest.files import read_capped, skipped_folder
from train.model import model_digest, model_files
from xtrove.core import DiskCache, Misuse, cache_folder, hold_lock, private_folder, write_file

LIMIT: Final = 20 << 30
CUT: Final = "4"
"""Changes with `evaluate.corpora.chunking`, `evaluate.corpora.windows` and
`evaluate.retrieval.tokenize`."""
GRAPHS: Final = "graphs"
"""Folder of the graphs of models, by fingerprint."""
_PRINTS: Final = "models.json"
_MAX_PRINTS_BYTES: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """The place of one index."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Held by whoever reads or changes the state."""
        return self.folder.with_name(f"{self.folder.name}.lock")

    @contextmanager
    def hold(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Takes the lock; `waiting` is called once where another process has it."""
        private_folder(self.lock.parent)
        with hold_lock(self.lock, wait_s=math.inf, waiting=waiting):
            yield

    def used(self) -> None:
        """Notes the time of use."""
        os.utime(self.folder)


def place() -> Path:
    """The folder of all indexes of code."""
    return cache_folder("search")


def store_of(root: Path, model: Path | None, *, ignored: bool = False) -> Store:
    """The place of the index of a folder for a model, or of its words alone; another one with
    what `.gitignore` leaves out (`ignored`).

    Raises `Misuse` where that lies in the folder itself, `OSError` for no model.
    """
    base = place()
    if base.resolve().is_relative_to(root):
        inner = base.resolve().relative_to(root).parts
        if not any(skipped_folder(name) for name in inner):
            raise Misuse(f"the index would lie in {root} itself: set XTROVE_CACHE elsewhere")
    parts = [FORMAT, CUT, fingerprint(model) if model is not None else "", *_cutters()]
    parts += ["ignored"] if ignored else []
    digest = hashlib.sha256("\0".join(parts).encode())
    digest.update(b"\0" + os.fsencode(root))
    return Store(folder=base / digest.hexdigest()[:32])


def fingerprint(model: Path) -> str:
    """`model_digest` of a folder, from memory where no file of the model has changed."""
    known = _prints()
    name = os.fsencode(model.resolve()).hex()
    hints = [[path.name, *hint_of(str(path.resolve()))] for path in model_files(model)]
    row = known.get(name)
    if isinstance(row, list) and len(row) == 2 and row[0] == hints and isinstance(row[1], str):
        return row[1]
    digest = model_digest(model)
    _write_prints({**known, name: [hints, digest]})
    return digest


def cut_to_limit(newest: Store, limit: int = LIMIT) -> None:
    """Removes the least recently used until all are under the limit; the newest stays."""
    DiskCache(newest.folder.parent, limit).cut(keep=newest.folder.name)


def _cutters() -> list[str]:
    """What cuts the files of each extension."""
    return [extractor_id(language, f"a{end}") for end, language in sorted(EXTENSIONS.items())]


def _prints() -> dict[str, object]:
    data = read_capped(str(place() / _PRINTS), _MAX_PRINTS_BYTES)
    try:
        known = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_prints(known: dict[str, object]) -> None:
    base = private_folder(place())
    # The oldest go: a file over the limit would not be read again.
    rows = dict(list(known.items())[-1_000:])
    write_file(base / _PRINTS, json.dumps(rows).encode(), durable=False)
