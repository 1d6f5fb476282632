"""Settings and facts of any shape as rows of a report: `section.key` and a short value.

Method: nested objects are flattened; folders of this machine are reduced to their last name, so
that a page that is passed on says nothing of whose it was. Cost: none. Limits: `ROWS` rows, eight
levels; longer lists are cut by the table that shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

ROWS: Final = 120
_DEPTH: Final = 8
_VALUE: Final = 400


def flattened(facts: Mapping[str, Any], *, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """`section.key` -> value in words, in the order they stand in; at most `ROWS`.

    `without` names keys that are left out. How many rows did not fit is the last row.
    """
    rows: dict[str, str] = {}
    left_out = 0
    for name, value in _leaves(facts, "", 0):
        if name in without:
            continue
        if len(rows) < ROWS:
            rows[name[:_VALUE]] = shown(value)
        else:
            left_out += 1
    if left_out:
        rows["…"] = f"{left_out} more"
    return rows


def _leaves(facts: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < _DEPTH:
            yield from _leaves(value, f"{name}.", depth + 1)
        else:
            yield name, value


def shown(value: Any) -> str:
    """A value in words."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return _without_folders(value) or '""'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 1 << 62 else str(value)[:_VALUE]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(map(_without_folders, value))[:_VALUE] or "-"
    return json.dumps(value, ensure_ascii=False, default=str)[:_VALUE]


def _without_folders(value: str) -> str:
    if value.startswith(("/", "~", "../", "..\\", "file:")) or value[1:3] in (":\\", ":/"):
        return f"…/{PurePath(value.replace(chr(92), '/')).name}"
    return value
