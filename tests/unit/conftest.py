"""A scratch PostgreSQL server for the tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from halab.bench.scratch import Server, ServerMissing, scratch

# How long an example takes on a busy machine says nothing about what it shows.
settings.register_profile("halab", deadline=None)
settings.load_profile("halab")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The scratch server of this test session."""
    try:
        with scratch() as server:
            yield server
    except ServerMissing as error:
        pytest.skip(str(error))
