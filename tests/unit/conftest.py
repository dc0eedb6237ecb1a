"""A scratch PostgreSQL server for the tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from halab.bench.scratch import Server, ServerMissing, scratch


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The scratch server of this test session."""
    try:
        with scratch() as server:
            yield server
    except ServerMissing as error:
        pytest.skip(str(error))
