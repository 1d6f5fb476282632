"""Small folders of real code for the tests of code search, and a real encoder over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluate.code_search.index import Snapshot, update
from evaluate.code_search.segments import CodeDocument
from train.model.encoder import Encoder, TokenVectors

KITCHEN = '''def pour(water, glass):
    """Fill a glass."""
    glass.level += water


def wash(dishes):
    # Soap first.
    for dish in dishes:
        dish.clean = True
'''
GARDEN = '''class Garden:
    def plant(self, seeds):
        """Put seeds into the ground."""
        self.beds.append(seeds)

    def water(self, litres):
        def each(bed):
            bed.level += litres

        for bed in self.beds:
            each(bed)
'''
SERVER = """package web

// Listen accepts connections until the server is closed.
func Listen(port int) error {
\tfor {
\t\tif err := accept(port); err != nil {
\t\t\treturn err
\t\t}
\t}
}
"""
QUESTIONS = (
    "fill a glass with water",
    "accept connections on a port",
    "put seeds into a bed of the garden",
    "clean dishes, dishes, dishes",
)


def make_folder(folder: Path) -> Path:
    """Three files with six functions, and one without any."""
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "kitchen.py").write_text(KITCHEN)
    (folder / "home" / "garden.py").write_text(GARDEN)
    (folder / "server.go").write_text(SERVER)
    (folder / "settings.py").write_text("".join(f"LEVEL_{n} = {n}\n" for n in range(50)))
    return folder


@dataclass(kw_only=True, slots=True)
class CountedEncoder:
    """A real encoder that remembers what it was given, and may be stopped."""

    encoder: Encoder
    given: list[str] = field(default_factory=list)
    stop_after: int | None = None
    calls: int = 0

    def __call__(self, texts: Sequence[str]) -> TokenVectors:
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        self.given.extend(texts)
        return self.encoder.encode(texts, "document")

    def load(self) -> Callable[[Sequence[str]], TokenVectors]:
        """What `update` calls when there is something to encode."""
        return self


def updated(tmp: Path, root: Path, encoder: CountedEncoder | None = None) -> Snapshot:
    """The index of a folder, brought up to date."""
    return update(tmp / "store", root, encoder.load if encoder is not None else None)


def documents(snapshot: Snapshot) -> list[CodeDocument]:
    """All live documents, in their order."""
    return [snapshot.document(number) for number in range(len(snapshot))]


def places(snapshot: Snapshot) -> set[str]:
    """Path, lines and name of all live documents."""
    return {
        f"{document.path}:{document.start_line}-{document.end_line} {document.name}"
        for document in documents(snapshot)
    }


def replace_text(path: Path, old: str, new: str) -> None:
    """Edits a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def same_times(path: Path, text: str) -> None:
    """Writes other bytes of the same length and puts the time of modification back."""
    facts = path.stat()
    assert len(text.encode()) == facts.st_size
    path.write_text(text)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
