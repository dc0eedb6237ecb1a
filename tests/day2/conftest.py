"""One cluster for all tests of day 2, made when the first needs it and removed at the end.

They describe clusters of their own rather than take one: members come and go, so the inventory is what they change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.day2.site import MACHINES, Site

MACHINES_YML = """\
plugin: halab.lab.machines
name: daytwo
addresses: {haproxy_address: 250}
volumes:
  - {name: data, path: /srv/data, size_mib: 1024}
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The machines, with the cluster on three of five."""
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs a container engine: neither podman nor docker is installed")
    # Whoever works on these tests keeps the machines from run to run: HALAB_DAY2 names a folder for the inventory.
    kept = os.environ.get("HALAB_DAY2")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("day2")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machines.yml").write_text(MACHINES_YML)
    site = Site(folder)
    site.describe()
    try:
        site.play("create")
        site.provision()
        yield site
    finally:
        if not kept:
            site.play("destroy")


@pytest.fixture
def site(lab: Site) -> Iterator[Site]:
    """The cluster, healthy at the beginning of each test, as described and healthy at its end."""
    lab.play("verify")
    yield lab
    lab.play("verify")


@pytest.fixture
def idle() -> tuple[str, ...]:
    """Machines on which nothing is at first."""
    return MACHINES[3:]
