"""Nothing of a lab that was removed is left on the controller."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host

testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def variables(request: pytest.FixtureRequest) -> dict[str, object]:
    """What the inventory still says of a machine."""
    inventory = request.config.getoption("ansible_inventory")
    told = subprocess.run(
        ["ansible-inventory", "-i", inventory, "--host", "machine1"], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(told.stdout)
    return found


def test_no_folder_is_left(host: Host, variables: dict[str, object]) -> None:
    assert not host.file(str(variables["halab_state_dir"])).exists
    store = Path(str(variables["lab_store"])) / str(variables["lab_id"])
    assert not host.file(str(store)).exists
    assert str(store) not in host.file("/proc/mounts").content_string


def test_no_machine_and_no_network_is_left(host: Host, variables: dict[str, object]) -> None:
    engine, lab = str(variables["lab_engine"]), str(variables["lab_id"])
    names = host.check_output("%s ps --all --format %s", engine, "{{.Names}}").splitlines()
    assert not [name for name in names if name.startswith(f"{lab}-")]
    assert lab not in host.check_output("%s network ls --format %s", engine, "{{.Name}}").splitlines()
