"""Fast tests first: whoever broke something small should not wait for whole builds."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the order of files, with the tests marked slow behind all others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
