"""Which licences let a file in.

Method: identifiers are SPDX expressions read by `license-expression`; an `OR` passes with one
branch, an `AND` needs both, and `WITH` is judged by its licence, since an exception only adds
permissions. A file with several identifiers needs every one of them (the rule for The Stack:
all licences of the chosen repository). The permissive list is frozen in
`permissive_licenses.json`; its provenance stands in it.
Cost: 30 ms once for the SPDX table, then a cached look-up per distinct set of identifiers.
Limits: an identifier is believed as given; `NOASSERTION`, `NONE`, unknown words and
expressions over 1,000 characters are unknown, never permissive.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from license_expression import (
    AND,
    OR,
    ExpressionError,
    LicenseWithExceptionSymbol,
    get_spdx_licensing,
)
from pydantic import BaseModel, ConfigDict, field_validator

UNKNOWN = "license_unknown"
NOT_PERMISSIVE = "license_not_permissive"
NO_ASSERTION = "NOASSERTION"
RESTRICTED = "LicenseRef-restricted"
"""Stands for words that restrict what they grant, or name something not free: refused whatever is
declared, and where unknown licences are kept."""
MAX_EXPRESSION_CHARS = 1_000


class LicensePolicy(BaseModel):
    """The `licenses` section of the config."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allow: Literal["permissive"] | tuple[str, ...] = "permissive"
    unknown: Literal["refuse", "keep"] = "refuse"

    @field_validator("allow")
    @classmethod
    def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(value, str):
            return value
        if not value:
            raise ValueError("licenses.allow is empty: write `permissive` or SPDX identifiers")
        return tuple(sorted({_single(item) for item in value}))

    def allowed(self) -> frozenset[str]:
        """The SPDX identifiers that pass."""
        return permissive_ids() if isinstance(self.allow, str) else frozenset(self.allow)

    def refusal(self, licenses: Sequence[str]) -> str | None:
        """Why these licences keep a file out: a funnel reason, or None if they let it in.

        A licence outside the list is `license_not_permissive` even beside an unknown one.
        """
        return _judge(tuple(licenses), self.allowed(), self.unknown == "keep")

    def recorded(self, licenses: Sequence[str]) -> tuple[str, ...]:
        """The identifiers to store with a file that was let in; `NOASSERTION` for unknown."""
        known = normalise(licenses)
        if len(known) == 0 or any(_parse(item) is None for item in licenses):
            return tuple(sorted({*known, NO_ASSERTION}))
        return known

    def policy_digest(self) -> str:
        """SHA-256 (hex) over the identifiers that pass and what happens to unknown ones."""
        facts = json.dumps({"allow": sorted(self.allowed()), "unknown": self.unknown})
        return hashlib.sha256(facts.encode()).hexdigest()


def is_permissive(ids: Sequence[str]) -> bool:
    """Whether every identifier passes the frozen permissive list."""
    return _judge(tuple(ids), permissive_ids(), False) is None


def normalise(ids: Sequence[str]) -> tuple[str, ...]:
    """SPDX casing, sorted, unique; a top-level `AND` is split, unknown words are left out."""
    identifiers: set[str] = set()
    for item in ids:
        tree = _parse(item)
        if tree is not None:
            identifiers.update(_rendered(part) for part in _conjuncts(tree))
    return tuple(sorted(identifiers))


def is_known(expression: str) -> bool:
    """Whether this is a valid SPDX expression of known identifiers."""
    return _parse(expression) is not None


@cache
def permissive_ids() -> frozenset[str]:
    """The frozen permissive list."""
    text = Path(__file__).with_name("permissive_licenses.json").read_text("utf-8")
    return frozenset(json.loads(text)["licenses"])


def _single(item: str) -> str:
    tree = _parse(item)
    if tree is None or isinstance(tree, (AND, OR, LicenseWithExceptionSymbol)):
        raise ValueError(f"{item!r} is not one SPDX identifier: {near_identifier(item)}")
    return str(tree.key)


def near_identifier(word: str) -> str:
    """What to write in place of a word that is no SPDX identifier: the nearest, or where to look.

    For messages: of "Apache 2" it is `did you mean 'Apache-2.0'?`.
    """
    known = {
        _folded(key): key
        for key, symbol in sorted(_licensing().known_symbols.items())
        if not symbol.is_exception and not key.startswith("LicenseRef-")
    }
    folded = _folded(word[:100])
    # Few letters are near to much: BSD is not 0BSD.
    cutoff = 0.75 if len(folded) > 3 else 1.0
    near = difflib.get_close_matches(folded, known, n=1, cutoff=cutoff)
    return f"did you mean {known[near[0]]!r}?" if near else "see https://spdx.org/licenses"


def _folded(identifier: str) -> str:
    words = re.sub(r"licen[cs]es?|\bthe\b", "", identifier.casefold())
    return re.sub(r"[^a-z0-9]", "", words)


@lru_cache(maxsize=4096)
def _judge(ids: tuple[str, ...], allowed: frozenset[str], keep_unknown: bool) -> str | None:
    if RESTRICTED in ids:
        return NOT_PERMISSIVE
    trees = [_parse(item) for item in ids]
    if any(tree is not None and not _passes(tree, allowed) for tree in trees):
        return NOT_PERMISSIVE
    if not keep_unknown and (not trees or None in trees):
        return UNKNOWN
    return None


# The trees of license-expression are untyped: they stay in the functions below.
def _passes(tree: Any, allowed: frozenset[str]) -> bool:
    if isinstance(tree, OR):
        return any(_passes(branch, allowed) for branch in tree.args)
    if isinstance(tree, AND):
        return all(_passes(branch, allowed) for branch in tree.args)
    if isinstance(tree, LicenseWithExceptionSymbol):
        return str(tree.license_symbol.key) in allowed
    return str(tree.key) in allowed


@lru_cache(maxsize=4096)
def _parse(expression: str) -> Any:
    """The tree of a valid expression of known SPDX identifiers, else None."""
    text = expression.strip()
    if not text or len(text) > MAX_EXPRESSION_CHARS:
        return None
    licensing = _licensing()
    try:
        tree = licensing.parse(text)
        if tree is None or licensing.unknown_license_keys(tree):
            return None
    except (ExpressionError, RecursionError, ValueError, AttributeError, TypeError):
        # Hostile text reaches corners of the parser that do not raise its own error.
        return None
    return None if _misused_exception(tree) else tree


def _misused_exception(tree: Any) -> bool:
    """`MIT WITH MIT` and a bare `LLVM-exception` parse, but say nothing."""
    if isinstance(tree, (AND, OR)):
        return any(_misused_exception(branch) for branch in tree.args)
    if isinstance(tree, LicenseWithExceptionSymbol):
        return not tree.exception_symbol.is_exception or bool(tree.license_symbol.is_exception)
    return bool(tree.is_exception)


def _conjuncts(tree: Any) -> list[Any]:
    if not isinstance(tree, AND):
        return [tree]
    return [part for branch in tree.args for part in _conjuncts(branch)]


def _rendered(tree: Any) -> str:
    return str(tree.simplify().render())


@cache
def _licensing() -> Any:
    return get_spdx_licensing()
