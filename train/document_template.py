"""What of a function is encoded: its code, and where it stands.

Method: a template with the fields `{code}`, `{path}` (in the repository), `{scope}` (names of what
encloses it) and `{name}`, each at most once, `{code}` always. A line of the template whose fields
are all empty is left out, so that a model serves sources that know no path. The checkpoint records
the template; training, mining, evaluation and search fill it alike. The query has a prefix only
(`query_prefix`).
Limits: no format specifications; `{{` and `}}` are braces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Final

FIELDS: Final = ("path", "scope", "name", "code")
CODE: Final = "{code}"
MAX_CHARS: Final = 500


@dataclass(frozen=True)
class DocumentTemplate:
    """A template that was checked; ValueError where it is none."""

    text: str = CODE

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or len(self.text) > MAX_CHARS:
            raise ValueError(f"a document template is text of at most {MAX_CHARS} characters")
        try:
            parts = list(Formatter().parse(self.text))
        except ValueError as error:
            raise ValueError(f"document template {self.text!r}: {error}") from None
        named = [field for _, field, _, _ in parts if field is not None]
        plain = all(not (spec or conversion) for _, _, spec, conversion in parts)
        if not plain or sorted(named) != sorted(set(named) & set(FIELDS)) or "code" not in named:
            raise ValueError(
                f"document template {self.text!r}: {{code}}, and of {{path}}, {{scope}}, {{name}} "
                "each at most once, are all it may name"
            )

    @cached_property
    def _lines(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each line with its fields."""
        return [
            (line, tuple(field for _, field, _, _ in Formatter().parse(line) if field))
            for line in self.text.split("\n")
        ]

    def render(self, *, code: str, path: str = "", scope: str = "", name: str = "") -> str:
        """The text of a document."""
        values = {"code": code, "path": path, "scope": scope, "name": name}
        return "\n".join(
            line.format_map(values)
            for line, fields in self._lines
            if not fields or any(values[field] for field in fields)
        )

    def of_sample(self, sample: Mapping[str, object], *, with_path: bool = True) -> str:
        """The text of a sample of a dataset."""
        return self.render(
            code=str(sample["code"]),
            path=str(sample.get("path") or "") if with_path else "",
            scope=str(sample.get("scope") or ""),
            name=str(sample.get("name") or ""),
        )
