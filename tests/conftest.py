"""The order of tests, and random properties that are the same on every machine.

By default a property draws the same examples in every run, and no clock decides: what fails here
fails everywhere. `--hypothesis-profile=long`, or any `--hypothesis-seed`, draws others and many
more; see docs/testing.md.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# A deadline and `too_slow` measure the load of the machine. What a property writes into its
# `tmp_path` it writes anew for each example.
_ALWAYS = settings(
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# Pauses between tries, here and in the processes that tests start.
os.environ.setdefault("XTROVE_RETRY_PAUSE", "0.1")
settings.register_profile("fixed", _ALWAYS, derandomize=True, max_examples=60)
settings.register_profile("long", _ALWAYS, derandomize=False, max_examples=2_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--exhaustive`, for this process and those that tests start (`XTROVE_EXHAUSTIVE`)."""
    parser.addoption(
        "--exhaustive",
        action="store_true",
        help="Every point of a kill and every file, where by default a fixed sample is taken.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the profile, before any property is imported."""
    if config.getoption("exhaustive"):
        os.environ["XTROVE_EXHAUSTIVE"] = "1"
    if config.getoption("hypothesis_profile") is None:
        is_random = config.getoption("hypothesis_seed") is not None
        settings.load_profile("long" if is_random else "fixed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In one process the tests marked slow come last; for several the files that hold most of
    them come first, so that none is left with a long file at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    # A test with a time limit of its own takes as long as many.
    slow.update({item.path: 100 for item in items if item.get_closest_marker("timeout")})
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: -slow[item.path])
    else:
        items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
