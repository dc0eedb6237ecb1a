"""The foreign cluster of these tests: made for them, or the one that --inventory names, which is left as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.foreign import cluster


@pytest.fixture(scope="session")
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the inventory that halab is given; its state folder is beside it."""
    given = request.config.getoption("--inventory")
    if given:
        yield Path(given).absolute()
        return
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs a container engine: neither podman nor docker is installed")
    try:
        yield cluster.up(tmp_path_factory.mktemp("foreign"))
    finally:
        cluster.down()
