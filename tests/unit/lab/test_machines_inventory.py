"""The inventory plugin, through ansible-inventory as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
HOSTS = "patroni:\n  hosts:\n    pg1:\n    pg2:\n"
MACHINES = "plugin: halab.lab.machines\nname: try\naddresses:\n  haproxy_address: 250\n"


def listing(folder: Path, state: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "XDG_STATE_HOME": str(state),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        ["ansible-inventory", "-i", str(folder), "--list"], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "an inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "machines.yml").write_text(MACHINES)
    return folder


def hostvars(folder: Path, state: Path) -> dict[str, Any]:
    done = listing(folder, state)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["_meta"]["hostvars"]
    return found


def test_values_are_literal_and_differ_by_host(folder: Path, tmp_path: Path) -> None:
    found = hostvars(folder, tmp_path)
    first, second = found["pg1"], found["pg2"]
    assert isinstance(first["ansible_host"], str)
    assert first["ansible_host"] != second["ansible_host"]
    assert first["haproxy_address"].endswith(".250")
    assert first["machine_power"]["off"][-1] == "pg1"
    assert first["halab_state_dir"].startswith(str(tmp_path / "halab" / "try-"))


def test_what_was_created_wins_over_what_would_be_asked_for(folder: Path, tmp_path: Path) -> None:
    state = Path(hostvars(folder, tmp_path)["pg1"]["halab_state_dir"])
    state.mkdir(parents=True)
    (state / "lab.json").write_text(json.dumps({"subnet": "10.9.8.0/24", "numbers": {"pg2": 77}, "engine": "docker"}))
    found = hostvars(folder, tmp_path)
    assert found["pg2"]["ansible_host"] == "10.9.8.77"
    assert found["pg1"]["ansible_host"] == "10.9.8.11"
    assert found["pg1"]["lab_engine"] == "docker"


def test_virtual_machines_have_the_same_switch_and_no_limits(folder: Path, tmp_path: Path) -> None:
    (folder / "machines.yml").write_text(f"{MACHINES}kind: vm\n")
    found = hostvars(folder, tmp_path)["pg1"]
    assert found["lab_kind"] == "vm" and found["machine_power"]["off"][-1] == "pg1"
    assert "machine_limits" not in found


def test_a_lab_of_containers_stays_one_until_it_is_destroyed(folder: Path, tmp_path: Path) -> None:
    state = Path(hostvars(folder, tmp_path)["pg1"]["halab_state_dir"])
    state.mkdir(parents=True)
    (state / "lab.json").write_text(json.dumps({"subnet": "10.9.8.0/24", "numbers": {}, "engine": "podman"}))
    (folder / "machines.yml").write_text(f"{MACHINES}kind: vm\n")
    assert hostvars(folder, tmp_path)["pg1"]["lab_kind"] == "container"


@pytest.mark.parametrize(
    ("machines", "complaint"),
    [
        (MACHINES.replace("250", "12"), "addresses.haproxy_address: 12"),
        (MACHINES + "subnet_pool: nonsense\n", "subnet_pool: 'nonsense'"),
        (MACHINES + "engine: vmware\n", "engine"),
        (MACHINES + "kind: metal\n", "kind"),
    ],
)
def test_a_bad_value_is_named(folder: Path, tmp_path: Path, machines: str, complaint: str) -> None:
    (folder / "machines.yml").write_text(machines)
    done = listing(folder, tmp_path)
    assert complaint in done.stderr + done.stdout


def test_hosts_must_be_known_first(folder: Path, tmp_path: Path) -> None:
    (folder / "hosts.yml").rename(folder / "zhosts.yml")
    done = listing(folder, tmp_path)
    assert "sorts before this one" in done.stderr
