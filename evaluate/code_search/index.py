"""A folder of code as an index that follows it: only what changed is cut and encoded again.

Method: one walk (that of the source `directory`); a file whose size and times are those of the
last time is taken as it was, any other is digested, and cut again where its digest is new. New
documents go into segments (`code_segments`) that are never changed; the state says which
documents are live, so a changed file only loses its old ones. The state is replaced after each
segment: whoever was killed goes on there. Many segments are merged at the end, the large one
left alone until half of it is dead. Documentation stays in the text: it is there to be found by.
Cost: a walk and an `lstat` a file (20,000 a second); cutting 9 MB/s, words 1.5 MB/s, encoding 30
to 60 functions a second a core with a 22M encoder. Limits: those of `ingest.files.tree_walk` and
`evaluate.corpora.chunking`; a change that keeps size, time of modification and time of change is
not seen.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from evaluate.code_search.segments import (
    CodeDocument,
    Encode,
    Segment,
    merge_segments,
    write_segment,
)
from evaluate.code_search.state import FileState, State, hint_of, sure
from ingest import LANGUAGES, MAX_FILE_BYTES, settled_language
from ingest.files import UNREADABLE, Found, IgnoreRules, read_capped, walk
from train import DocumentTemplate
from xtrove.core import DamagedData, private_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENCODED: Final = 512
"""Documents of a segment that is encoded: ten seconds of work may be lost."""
COUNTED: Final = 16_384
"""Documents of a segment of words alone."""
SEGMENTS: Final = 16
"""More of them are merged."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What an update did."""

    read: int
    """Files that were read: their size or times were new."""
    cut: int
    """Files of these whose bytes were new."""
    removed: int
    """Files that are gone."""
    documents: int
    """Documents that were made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """The live documents of an index, numbered from 0; stays readable whatever others do."""

    segments: tuple[Segment, ...]
    numbers: tuple[NDArray[np.int32], ...]
    """Of each segment the number of each document, -1 where it is dead; they ascend."""
    languages: frozenset[str]
    files: int
    left_out: Mapping[str, int]
    """Reason -> files."""
    changes: Changes

    def __len__(self) -> int:
        return sum(int((part >= 0).sum()) for part in self.numbers)

    def document(self, number: int) -> CodeDocument:
        """The document of a number."""
        for segment, part in zip(self.segments, self.numbers, strict=True):
            rows = np.flatnonzero(part == number)
            if len(rows):
                return segment.document(int(rows[0]))
        raise IndexError(f"there is no document {number}")

    def documents(self, known: dict[bytes, CodeDocument]) -> list[CodeDocument]:
        """All documents by number. `known` keeps those of before, so that after a change only the
        new ones are read: 20 us each."""
        documents: list[CodeDocument | None] = [None] * len(self)
        rows: dict[bytes, CodeDocument] = {}
        for segment, part in zip(self.segments, self.numbers, strict=True):
            data = segment.rows.tobytes()
            for place in np.flatnonzero(part >= 0).tolist():
                row = data[segment.offsets[place] : segment.offsets[place + 1]]
                document = known.get(row) or segment.document(place)
                rows[row] = documents[part[place]] = document
        known.clear()
        known.update(rows)
        return [document for document in documents if document is not None]


def update(
    store: Path,
    root: Path,
    encode: Callable[[], Encode] | None,
    progress: Progress | None = None,
    template: DocumentTemplate | None = None,
    *,
    ignored: bool = False,
) -> Snapshot:
    """Brings the index in `store` up to date with the folder; the caller holds its lock.

    `encode` loads the model, when there is something to encode; None makes an index of words.
    `template` makes the texts that are encoded; None is the code.
    `ignored` takes what `.gitignore` leaves out too.
    An index that is damaged is made anew.
    """
    work = _Update(
        store=store,
        root=root,
        encode=encode,
        progress=progress or _silent,
        template=template or DocumentTemplate(),
        ignored=ignored,
    )
    try:
        return work.run()
    except DamagedData:
        shutil.rmtree(store)
        work.state = State()
        return work.run()


def _silent(what: str, done: int, total: int) -> None:
    """For callers that do not listen."""


@dataclass(kw_only=True, slots=True)
class _Update:
    store: Path
    root: Path
    encode: Callable[[], Encode] | None
    progress: Progress
    template: DocumentTemplate
    ignored: bool
    state: State = field(default_factory=State)
    pending: dict[str, FileState] = field(default_factory=dict)
    documents: list[CodeDocument] = field(default_factory=list)
    dirty: bool = False
    cut: int = 0
    made: int = 0

    def run(self) -> Snapshot:
        private_folder(self.store)
        self.state = State.load(self.store)
        rules = None if self.ignored else IgnoreRules(self.root)
        tree = walk(self.root, languages=frozenset(LANGUAGES), rules=rules)
        files = {file.name: file for file in tree.files if not file.problem}
        removed = [name for name in self.state.files if name not in files]
        for name in removed:
            del self.state.files[name]
        self.dirty = bool(removed) or not self.state.files
        changed = [file for file in files.values() if not self._as_it_was(file)]
        if changed:
            self._read(changed)
        if self.dirty:
            self._settle()
        changes = Changes(
            read=len(changed), cut=self.cut, removed=len(removed), documents=self.made
        )
        problems = Counter(file.problem for file in tree.files if file.problem)
        return self._snapshot(changes, problems)

    def _as_it_was(self, file: Found) -> bool:
        known = self.state.files.get(file.name)
        try:
            return known is not None and known.hint == hint_of(file.path)
        except OSError:
            return False

    def _read(self, changed: list[Found]) -> None:
        from evaluate.corpora import CodeFile, cut_files

        most = COUNTED if self.encode is None else ENCODED
        for number, (file, content, state) in enumerate(self._contents(changed), 1):
            known = self.state.files.get(file.name)
            self.dirty = True
            if known is not None and known.sha256 == state.sha256:
                self.state.files[file.name] = _with(known, hint=state.hint)
                continue
            if state.reason:
                self.pending[file.name] = state
                continue
            self.cut += 1
            code = CodeFile(
                path=file.name,
                language=settled_language(file.language, file.name, content),
                content=content,
                repo=self.root.name,
            )
            cut = cut_files([code], keep_documentation=True)
            reason = cut.left_out.get(file.name, "")
            self.pending[file.name] = _with(
                state, first=len(self.documents), count=len(cut.documents), reason=reason
            )
            self.documents.extend(
                CodeDocument(
                    path=document.path,
                    scope=document.scope,
                    name=document.name,
                    start_line=document.start_line,
                    end_line=document.end_line,
                    language=document.language,
                    text=document.text,
                )
                for document in cut.documents
            )
            if len(self.documents) >= most:
                self._flush()
            self.progress("files read", number, len(changed))
        self._flush()

    def _contents(self, changed: list[Found]) -> Iterator[tuple[Found, bytes, FileState]]:
        """Each file with its bytes; one that cannot be read loses its documents."""
        for file in changed:
            now = time.time_ns()
            try:
                before = hint_of(file.path)
                content = read_capped(file.path, MAX_FILE_BYTES)
                hint = sure(before, hint_of(file.path), now)
            except OSError:
                content, hint = None, (-1, -1, -1)
            yield (
                file,
                content or b"",
                FileState(
                    hint=hint,
                    sha256="" if content is None else hashlib.sha256(content).hexdigest(),
                    language=file.language,
                    segment="",
                    reason=UNREADABLE if content is None else "",
                ),
            )

    def _flush(self) -> None:
        """Makes a segment of what is pending, and notes it."""
        if self.documents:
            encode = self.encode() if self.encode is not None else None
            segment = write_segment(self.store, self.documents, encode, self.template)
            for name, file_state in self.pending.items():
                segment_name = segment.folder.name if file_state.count else ""
                self.pending[name] = _with(file_state, segment=segment_name)
            self.made += len(self.documents)
        if self.pending:
            self.state.files.update(self.pending)
            self.state.save(self.store)
            self.pending, self.documents = {}, []

    def _settle(self) -> None:
        """Merges what is many or half dead, saves, and removes what nothing names."""
        names = self.state.segments()
        segments = [Segment.open(self.store / name) for name in names]
        numbers = _numbers(self.state, segments)
        chosen = _to_merge(
            [len(segment) for segment in segments], [int((n >= 0).sum()) for n in numbers]
        )
        if chosen:
            self._merge([segments[i] for i in chosen], [numbers[i] for i in chosen])
        self.state.save(self.store)
        kept = {*self.state.segments(), "state.json"}
        for path in self.store.iterdir():
            if path.name not in kept and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in kept:
                path.unlink(missing_ok=True)

    def _merge(self, segments: list[Segment], numbers: list[NDArray[np.int32]]) -> None:
        start = 0
        fresh: list[NDArray[np.int32]] = []
        for part in numbers:
            live = part >= 0
            fresh.append(np.where(live, start + np.cumsum(live) - 1, -1).astype(np.int32))
            start += int(live.sum())
        self.progress("segments merged", 0, len(segments))
        made = merge_segments(self.store, segments, fresh)
        moved = {segment.folder.name: part for segment, part in zip(segments, fresh, strict=True)}
        for name, file_state in self.state.files.items():
            if file_state.segment in moved:
                first = int(moved[file_state.segment][file_state.first])
                self.state.files[name] = _with(file_state, segment=made.folder.name, first=first)

    def _snapshot(self, changes: Changes, problems: Counter[str]) -> Snapshot:
        segments = [Segment.open(self.store / name) for name in self.state.segments()]
        reasons = Counter(
            file_state.reason for file_state in self.state.files.values() if file_state.reason
        )
        return Snapshot(
            segments=tuple(segments),
            numbers=tuple(_numbers(self.state, segments)),
            languages=frozenset(
                file_state.language for file_state in self.state.files.values() if file_state.count
            ),
            files=len(self.state.files),
            left_out=dict(sorted((problems + reasons).items())),
            changes=changes,
        )


def _numbers(state: State, segments: list[Segment]) -> list[NDArray[np.int32]]:
    """The number of each live document, ascending over all segments."""
    places = {segment.folder.name: i for i, segment in enumerate(segments)}
    live = [np.zeros(len(segment), dtype=bool) for segment in segments]
    for file in state.files.values():
        if file.count:
            part = live[places[file.segment]]
            if not 0 <= file.first <= file.first + file.count <= len(part):
                raise DamagedData(f"{file.segment} has no {file.count} documents at {file.first}")
            part[file.first : file.first + file.count] = True
    start = 0
    numbers = []
    for part in live:
        numbers.append(np.where(part, start + np.cumsum(part) - 1, -1).astype(np.int32))
        start += int(part.sum())
    return numbers


def _to_merge(sizes: list[int], live: list[int]) -> list[int]:
    """Places of the segments to merge: many small ones, and any that is half dead."""
    half_dead = 2 * sum(live) < sum(sizes)
    if not half_dead and len(sizes) <= SEGMENTS:
        return []
    largest = max(range(len(sizes)), key=lambda i: live[i])
    alone = 2 * live[largest] > sum(live) and 2 * live[largest] > sizes[largest]
    return [i for i in range(len(sizes)) if not (alone and i == largest)]


def _with(state: FileState, **changes: object) -> FileState:
    fields = {name: getattr(state, name) for name in FileState.__slots__}
    return FileState(**{**fields, **changes})
