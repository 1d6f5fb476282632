"""What an answer of a spec points at: `path`, `path::function`, `path:line` or an id.

Method: documents are indexed by path; a function is named by itself or with what owns it
(`Class.method`, `outer.inner`). A name is settled by the fewest owners that fit: a function of
the module before a method, and where two different owners remain, the answer is refused with the
names that would be clear. Definitions of one full name (overloads, one a platform) are one
target; so are all documents of a `path`.
Limits: a row that tells no scope can be asked for by its plain name only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluate.corpora import Document
from xtrove.core import XtroveError

_LINE = re.compile(r"(?P<path>.+):(?P<line>[0-9]{1,9})")
_SHOWN = 5


class AnswerError(XtroveError):
    """An answer that points at nothing, or at more than one thing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The documents that stand for one answer, at least one."""

    name: str
    documents: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class Answers:
    """Finds the documents of answers."""

    paths: Mapping[str, Sequence[Document]]
    ids: Mapping[str, Document]
    left_out: Mapping[str, str]
    """Path -> why the file has no documents."""

    @classmethod
    def over(cls, documents: Sequence[Document], left_out: Mapping[str, str]) -> Answers:
        """Over all documents of a corpus."""
        paths: dict[str, list[Document]] = {}
        for document in documents:
            paths.setdefault(document.path, []).append(document)
        ids = {document.id: document for document in documents}
        return cls(paths=paths, ids=ids, left_out=left_out)

    def find(self, text: str) -> Target:
        """The target of an answer. Raises `AnswerError`."""
        if text in self.ids:
            return Target(name=text, documents=(text,))
        path, colons, name = text.partition("::")
        if colons:
            return self._function(text, self._documents(path), path, name)
        if text not in self.paths and (match := _LINE.fullmatch(text)) is not None:
            return self._line(self._documents(match["path"]), match["path"], int(match["line"]))
        return _target(text, self._documents(text))

    def _documents(self, path: str) -> Sequence[Document]:
        documents = self.paths.get(path)
        if documents is not None:
            return documents
        if path in self.left_out:
            raise AnswerError(
                f"{path!r} is not in the corpus ({self.left_out[path]}): leave it out"
            )
        last = path.rpartition("/")[2]
        alike = sorted(known for known in self.paths if known.rpartition("/")[2] == last)
        near = alike[:_SHOWN] or difflib.get_close_matches(path, self.paths, n=3)
        hint = f"did you mean {_listed(near)}?" if near else "paths are relative to the corpus"
        raise AnswerError(f"no file {path!r} in the corpus: {hint}")

    def _line(self, documents: Sequence[Document], path: str, line: int) -> Target:
        holding = [
            document for document in documents if document.start_line <= line <= document.end_line
        ]
        if not holding:
            last = max(document.end_line for document in documents)
            raise AnswerError(
                f"line {line} of {path!r} stands in no function (the last ends on line {last}): "
                "name a line inside one"
            )
        if holding[0].name:
            # The innermost function: windows overlap, and any of them shows the line.
            holding = [min(holding, key=lambda document: document.end_line - document.start_line)]
        return _target(f"{path}:{line}", holding)

    def _function(self, text: str, documents: Sequence[Document], path: str, name: str) -> Target:
        parts = tuple(name.replace("::", ".").split("."))
        named = [document for document in documents if document.name == parts[-1]]
        if not named:
            known = sorted({document.name for document in documents if document.name})
            near = difflib.get_close_matches(parts[-1], known, n=3) or known[:_SHOWN]
            hint = f"it has {_listed(near)}" if near else "it has none"
            raise AnswerError(f"no function {parts[-1]!r} in {path!r}: {hint}")
        if len(named) == 1 and len(parts) == 1:
            return _target(text, named)
        names = {document.id: _qualified(document) for document in named}
        fitting = [document for document in named if names[document.id][-len(parts) :] == parts]
        fewest = min((len(names[document.id]) for document in fitting), default=0)
        clear = [document for document in fitting if len(names[document.id]) == fewest]
        if not clear or len({names[document.id] for document in clear}) > 1:
            choices = sorted({".".join(names[document.id]) for document in clear or named})
            problem = "is ambiguous" if clear else "does not exist"
            raise AnswerError(f"{name!r} {problem} in {path!r}: write one of {_listed(choices)}")
        return _target(text, clear)


def _qualified(document: Document) -> tuple[str, ...]:
    """The names around a function, outermost first, and its own at the end."""
    return (*document.scope.split("."), document.name) if document.scope else (document.name,)


def _target(name: str, documents: Sequence[Document]) -> Target:
    if len(documents) == 1:
        return Target(name=documents[0].id, documents=(documents[0].id,))
    return Target(name=name, documents=tuple(document.id for document in documents))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[: 2 * _SHOWN])
    return f"{shown}, ..." if len(names) > 2 * _SHOWN else shown
