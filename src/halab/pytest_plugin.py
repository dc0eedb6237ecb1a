"""Pytest fixtures for tests against a live cluster: `pytest tests/ha --inventory inventories/minimal`.

Registered as a plugin of pytest by this package, so that a site's own tests get the same fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from halab.clients.postgres import Connection
    from halab.inventory import Cluster
    from halab.thresholds import Measured, Threshold

NO_INVENTORY = (
    "needs a running cluster: pass --inventory PATH (inventories/minimal after `halab up -i inventories/minimal`)"
)
LEADER_WITHIN_S = 30.0
MEASURED = pytest.StashKey[list["Measured"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the cluster."""
    group = parser.getgroup("halab")
    group.addoption("--inventory", metavar="PATH", help="inventory of the running cluster to test")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what tests measure."""
    config.stash[MEASURED] = []


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print every measured value beside its threshold, of tests that passed too."""
    found = config.stash[MEASURED]
    if not found:
        return
    terminalreporter.section("measured")
    width = max(len(one.threshold.name) for one in found)
    for one in found:
        verdict = "kept" if one.holds else "BROKEN"
        value = f"{one.value:,.4g} {one.threshold.unit}"
        line = f"{one.threshold.name:{width}}  {value:>22}  {one.threshold!s:<28}  {verdict:<6}  {one.where}"
        terminalreporter.write_line(line, green=one.holds, red=not one.holds)


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
    from halab.inventory import InventoryError, load

    try:
        return load(inventory)
    except InventoryError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def leader(cluster: Cluster) -> Iterator[Connection]:
    """A superuser's connection to the leader's PostgreSQL."""
    from halab.clients.cluster import leader_connection
    from halab.waiting import eventually

    _, connection = eventually(
        lambda: leader_connection(cluster, application="halab/pytest"), within_s=LEADER_WITHIN_S, what="a leader"
    )
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def thresholds(inventory: Path) -> Mapping[str, Threshold]:
    """Thresholds by name: the project's, overridden by `halab_thresholds` of the inventory."""
    from halab.inventory import InventoryError
    from halab.thresholds import load

    try:
        return load(inventory)
    except InventoryError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def measured(
    request: pytest.FixtureRequest, thresholds: Mapping[str, Threshold], record_property: Callable[[str, object], None]
) -> Callable[[str, float], None]:
    """Hold a value to the threshold of its name: it is printed and in the JUnit file, kept or not.

    Call it last in a test, for it fails the test when the threshold is broken.
    """
    from halab.thresholds import Measured

    def judge(name: str, value: float) -> None:
        one = Measured(threshold=thresholds[name], value=value, where=request.node.name)
        request.config.stash[MEASURED].append(one)
        record_property(name, value)
        record_property(f"{name}.threshold", str(one.threshold))
        if not one.holds:
            pytest.fail(str(one), pytrace=False)

    return judge
