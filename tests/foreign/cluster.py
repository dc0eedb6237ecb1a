"""A cluster that halab did not build, and the inventory by which halab is told about it.

The machines are halab's own containers, bare; what is on them was put there by node.sh alone. By hand:

    python -m tests.foreign.cluster up FOLDER      # writes FOLDER/inventory
    python -m tests.foreign.cluster down
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from halab.waiting import eventually

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
MACHINES: Final = HERE / "machines"
BARE: Final = ("-e", '{"image_roles": []}')
BALANCERS: Final = ("alpha", "beta")
REST_PORT: Final = 8108
PLAY_WITHIN_S: Final = 300.0
NODE_WITHIN_S: Final = 240.0
FORMED_WITHIN_S: Final = 90.0
PASSWORDS: Final = {
    "admin_password": "patroni_superuser_password",
    "repl_password": "patroni_replication_password",
    "rest_password": "patroni_rest_password",
    "stats_password": "haproxy_stats_password",
}
"""Variables of node.sh, with the key of the inventory for each."""
OF_A_SITE: Final = ("ansible_host", "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args")
"""What any inventory says about a machine; the rest of what the plugin says is about containers."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One bare machine and the variables by which it is reached."""

    name: str
    number: int
    variables: Mapping[str, Any]

    @property
    def address(self) -> str:
        return str(self.variables["ansible_host"])

    def run(self, script: str) -> None:
        """Run a script as root, over SSH: it holds passwords, so it goes through standard input."""
        options = shlex.split(str(self.variables["ansible_ssh_common_args"]))
        key = str(self.variables["ansible_ssh_private_key_file"])
        command = ["ssh", *options, "-i", key, f"{self.variables['ansible_user']}@{self.address}", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=NODE_WITHIN_S, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name}: node.sh ended with code {done.returncode}:\n{done.stdout}{done.stderr}")


def up(folder: Path) -> Path:
    """Make the cluster and write `folder`/inventory, whose path is returned. Raises RuntimeError or WaitExpired."""
    down()
    _play("create", *BARE)
    machines = _machines()
    passwords = {name: secrets.token_hex(12) for name in PASSWORDS}
    nodes = " ".join(machine.address for machine in machines)
    script = (HERE / "node.sh").read_text()

    def build(machine: Machine) -> None:
        settings = {
            "number": machine.number,
            "address": machine.address,
            "nodes": nodes,
            "balancer": "yes" if machine.name in BALANCERS else "",
            **passwords,
        }
        head = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items())
        # The whole script is read before it begins: what it calls may read standard input.
        machine.run(f"{head}main() {{\n{script}\n}}\nmain </dev/null\n")

    with ThreadPoolExecutor(len(machines)) as pool:
        list(pool.map(build, machines))
    _await_members(machines)
    return _write_inventory(folder, machines, passwords)


def down() -> None:
    """Remove the machines."""
    _play("destroy")


def _play(playbook: str, *options: str) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(MACHINES), *options],
        cwd=ROOT, env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": programs},
        capture_output=True, text=True, timeout=PLAY_WITHIN_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"playbooks/{playbook}.yml:\n{done.stdout}{done.stderr}")


def _machines() -> list[Machine]:
    from halab.inventory.source import read_inventory

    variables = read_inventory(MACHINES).variables
    return [Machine(name, number, variables[name]) for number, name in enumerate(sorted(variables), 1)]


def _await_members(machines: list[Machine]) -> None:
    def roles() -> list[str]:
        with urllib.request.urlopen(f"http://{machines[0].address}:{REST_PORT}/cluster", timeout=3) as answer:
            members = json.load(answer)["members"]
        return sorted(f"{member['role']} {member['state']}" for member in members)

    eventually(
        roles,
        accept=lambda seen: seen == ["leader running", "replica streaming", "sync_standby streaming"],
        within_s=FORMED_WITHIN_S,
        what="a leader with a synchronous and another standby",
    )


def _write_inventory(folder: Path, machines: list[Machine], passwords: Mapping[str, str]) -> Path:
    inventory = folder / "inventory"
    variables = inventory / "group_vars/all"
    variables.mkdir(parents=True, exist_ok=True)
    hosts = {
        machine.name: {
            **{key: machine.variables[key] for key in OF_A_SITE},
            "patroni_name": f"sql-{machine.number}",
            # Whoever has the machines has a command that switches their power; which one is the site's affair.
            "machine_power": machine.variables["machine_power"],
        }
        for machine in machines
    }
    everywhere = {"hosts": dict.fromkeys(hosts)}
    groups = {
        "etcd": everywhere,
        "patroni": everywhere,
        "haproxy": {"hosts": dict.fromkeys(BALANCERS)},
        "redis": {},
    }
    (inventory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": groups}}))
    (variables / "cluster.yml").write_text((HERE / "facts/cluster.yml").read_text())
    own = {"halab_state_dir": str(folder / "state")}
    own |= {PASSWORDS[name]: password for name, password in passwords.items()}
    secret = variables / "site.yml"
    secret.touch(mode=0o600)
    secret.write_text(yaml.safe_dump(own))
    return inventory


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up", where]:
            sys.stdout.write(f"{up(Path(where).absolute())}\n")
        case ["down"]:
            down()
        case _:
            sys.exit(__doc__)
