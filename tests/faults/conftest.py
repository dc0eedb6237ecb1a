"""A lab of three machines for the whole session, and the rule that every test leaves them as it found them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.support.lab import Lab
from tests.faults.support.machines import Node, Nodes, nodes_of


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-faults",
        action="store_true",
        help="every case of every family, and every bad input on a machine, not only the first case of each family",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --all-faults, bad input is left to the unit tests of the same refusals; what is left out is counted."""
    if config.getoption("--all-faults"):
        return
    thorough = [item for item in items if item.get_closest_marker("thorough")]
    if thorough:
        config.hook.pytest_deselected(items=thorough)
        items[:] = [item for item in items if item not in thorough]


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """Machines m1, m2 and m3 from the stack's image, nothing of the stack configured; removed at the end."""
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs a container engine: neither podman nor docker is installed")
    # Short, because the path of a socket may have 108 characters only.
    lab = Lab(Path(tempfile.mkdtemp(prefix="halab-faults-")))
    lab.describe()
    try:
        lab.play("create")
        lab.start_server()
        made = nodes_of(lab)
        for node in made:
            node.await_up()
        yield made
    finally:
        lab.remove()


@pytest.fixture
def node(nodes: Nodes) -> Node:
    """One machine, for tests that need no more."""
    return nodes["m1"]


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every machine that a test used must look as before the test's first act on it."""
    if "nodes" not in request.fixturenames:
        yield
        return
    nodes: Nodes = request.getfixturevalue("nodes")
    nodes.begin()
    yield
    left = nodes.left_behind()
    if left:
        pytest.fail(f"the test left this behind:\n{left}", pytrace=False)
