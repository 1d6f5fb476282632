"""Addresses of datasets on other machines."""

from __future__ import annotations

import pytest

from ingest.errors import SourceError
from shards.access.remote_store import store_of


@pytest.mark.parametrize(
    "uri", ["https://u:Winter2024@host/d", "https://Winter2024@host/d", "ftp://u:Winter2024@host/d"]
)
def test_an_address_with_a_password_is_refused_without_it(uri: str) -> None:
    with pytest.raises(SourceError, match="holds a user or a password") as error:
        store_of(uri)
    assert "Winter2024" not in str(error.value)
