"""Pytest fixtures for tests against a live cluster: `pytest tests/ha --inventory inventories/minimal`.

Registered as a plugin of pytest by this package, so that a site's own tests get the same fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from halab.clients.postgres import Connection
    from halab.inventory import Cluster

NO_INVENTORY = (
    "needs a running cluster: pass --inventory PATH (inventories/minimal after `halab up -i inventories/minimal`)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the cluster."""
    group = parser.getgroup("halab")
    group.addoption("--inventory", metavar="PATH", help="inventory of the running cluster to test")


@pytest.fixture(scope="session")
def inventory(request: pytest.FixtureRequest) -> Path:
    """Path of the inventory under test; tests that need one are skipped without it."""
    given = request.config.getoption("--inventory")
    if not given:
        pytest.skip(NO_INVENTORY)
    return Path(given)


@pytest.fixture(scope="session")
def cluster(inventory: Path) -> Cluster:
    """The cluster that the inventory describes. A bad inventory fails the tests with its own words."""
    from halab.inventory import load

    return load(inventory)


@pytest.fixture
def leader(cluster: Cluster) -> Iterator[Connection]:
    """A superuser's connection to the leader's PostgreSQL."""
    from halab.clients.cluster import leader_connection

    _, connection = leader_connection(cluster, application="halab/pytest")
    yield connection
    connection.close()
