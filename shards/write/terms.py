"""Whether a dataset may be published for all, behind terms, or not at all: a fact of its sources.

Method: the manifest records the terms of each source, as its listing stated them; a dataset that
was built before they were recorded is judged by the kinds of its sources. What is not known to
be open is not open: a kind or terms that are not known here keep the dataset from being published.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from ingest import GATED, OPEN, THE_STACK
from shards.format import Manifest, SourceFacts

UNKNOWN: Final = "unknown"


@functools.cache
def terms_of_kinds() -> Mapping[str, str]:
    """The least that holds for each kind, whatever its place."""
    # Sources need every way of reading, which a check of a dataset does not wait for.
    from ingest.sources import SOURCES

    return {source.kind: source.terms for source in SOURCES}


def terms_of(source: SourceFacts) -> str:
    """`OPEN`, `THE_STACK`, `GATED` or `UNKNOWN`: the stricter of the recorded and the kind's."""
    by_kind = terms_of_kinds().get(source.kind, UNKNOWN)
    if by_kind != OPEN or source.terms is None:
        return by_kind
    return source.terms if source.terms in (OPEN, THE_STACK, GATED) else UNKNOWN


def is_gated(manifest: Manifest) -> bool:
    """Whether the dataset must not be handed on without terms."""
    return any(terms_of(source) != OPEN for source in manifest.sources)


def unpublishable(manifest: Manifest) -> list[str]:
    """The sources whose terms are not known here, so that none can be put before readers."""
    return [
        f"{source.name} ({source.kind}): {terms_of(source)} terms"
        for source in manifest.sources
        if terms_of(source) not in (OPEN, THE_STACK)
    ]


def contradictions(manifest: Manifest) -> list[str]:
    """Sources that are recorded with less than their kind asks for."""
    return [
        f"{source.name}: recorded as {source.terms!r}, but a source of kind {source.kind!r} is "
        f"{terms_of(source)!r}"
        for source in manifest.sources
        if source.terms is not None
        and source.kind in terms_of_kinds()
        and source.terms != terms_of(source)
    ]
