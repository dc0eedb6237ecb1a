"""Files of the roles haproxy and redis as Ansible renders them, and real servers that run with them on loopback."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.halab.stack.plugins.module_utils.certificates import Keeper
from ansible_collections.halab.stack.plugins.module_utils.timing import profile

ROOT = Path(__file__).parents[3]
ROLES = ROOT / "collections/ansible_collections/halab/stack/roles"
NODES = {"node1": "127.0.0.1", "node2": "127.0.0.2", "node3": "127.0.0.3"}
MEMBERS = [{"name": name, "address": address} for name, address in NODES.items()]
SHARED_ADDRESS = "127.0.0.250"
PASSWORDS = {name: f"{name}-of-the-test" for name in ("admin", "replication", "sentinel", "stats", "vrrp")}


def need(program: str) -> str:
    """Return the path of a program, or skip the test saying what is missing."""
    found = shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if not found:
        pytest.skip(f"{program} is not installed (apt install {program})")
    return found


def free_port() -> int:
    """Return a port that nobody uses on the addresses of the nodes."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Wait for a condition, and fail saying what was waited for."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"waited {within_s:g} s for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of certificates: an authority, a client and three nodes that share an address."""
    directory = tmp_path_factory.mktemp("edge") / "certs"
    hosts = [{**member, "names": [], "addresses": [SHARED_ADDRESS]} for member in MEMBERS]
    parameters = {
        "directory": str(directory),
        "hosts": hosts,
        "client_name": "client",
        "authority_name": "test",
        "authority_cert": None,
        "authority_key": None,
        "authority_passphrase": None,
        "validity_days": 30,
        "authority_validity_days": 30,
        "renew_before_days": 1,
    }
    Keeper.of(parameters, now=dt.datetime.now(dt.UTC)).keep()
    return directory


@dataclass(frozen=True)
class File:
    """One template of a role, with variables, and where the result goes."""

    role: str
    template: str
    path: Path
    variables: Mapping[str, Any] = field(default_factory=dict)


def render(files: Sequence[File], folder: Path) -> None:
    """Render templates by Ansible itself, with the defaults and variables of their roles."""
    program = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "ansible-playbook is not installed beside this Python"
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(ROLES / role / part / "main.yml") for part in ("defaults", "vars")],
            "tasks": [
                {
                    "name": f"Render {file.path}",
                    "ansible.builtin.template": {
                        "src": str(ROLES / role / "templates" / file.template),
                        "dest": str(file.path),
                        "mode": "0700",
                    },
                    "vars": dict(file.variables),
                }
                for file in files
                if file.role == role
            ],
        }
        for role in dict.fromkeys(file.role for file in files)
    ]
    playbook = folder / "render.yml"
    playbook.write_text(yaml.safe_dump(plays), "utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }
    # As JSON, because key=value is split at the spaces of a path.
    interpreter = json.dumps({"ansible_python_interpreter": sys.executable})
    command = [program, "-i", "localhost,", "-c", "local", "-e", interpreter, str(playbook)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Node:
    """One node of a cluster of real servers on loopback."""

    folder: Path
    address: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, which: str) -> None:
        """Start `redis` or `sentinel` of this node."""
        program = {"redis": "redis-server", "sentinel": "redis-sentinel"}[which]
        with (self.folder / f"{which}.log").open("ab") as log:
            self.processes[which] = subprocess.Popen(
                [need(program), str(self.folder / f"{which}.conf")], cwd=self.folder, stdout=log, stderr=log
            )

    def kill(self, which: str) -> None:
        """Kill a process of this node as a power failure would."""
        self.processes[which].send_signal(signal.SIGKILL)
        self.processes.pop(which).wait(10)


@dataclass(frozen=True)
class Servers:
    """A Redis cluster of three nodes with their Sentinels, all of them real."""

    nodes: dict[str, Node]
    port: int
    sentinel_port: int
    certificates: Path

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for what the Sentinels do, as long as that can take on a busy machine.

        One that was kept from running for two seconds looks on for the next thirty (TILT mode), and one that looks
        again asks a replica every ten seconds.
        """

        def done() -> bool:
            ended = [
                f"{which} of {name}: {process.poll()}"
                for name, node in self.nodes.items()
                for which, process in node.processes.items()
                if process.poll() is not None
            ]
            assert not ended, f"while waiting for {what}, some ended by themselves: {ended}"
            return condition()

        try:
            until(done, what, within_s=180)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None

    def said(self) -> str:
        """The ends of all logs."""
        logs = sorted(log for node in self.nodes.values() for log in node.folder.glob("*.log"))
        return "\n".join(f"{log.parent.name}/{log.name}:\n{log.read_text('utf-8')[-2000:]}" for log in logs)

    def options(self, **changes: Any) -> dict[str, Any]:
        """Return the options of redis_info and redis_topology for this cluster."""
        return {
            "ca_file": str(self.certificates / "ca.crt"),
            "cert_file": str(self.certificates / "client.crt"),
            "key_file": str(self.certificates / "client.key"),
            "deadline_s": 2.0,
            "members": MEMBERS,
            "port": self.port,
            "sentinel_port": self.sentinel_port,
            "master_name": "main",
            "username": "admin",
            "password": PASSWORDS["admin"],
            **changes,
        }

    def settings(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return the options of redis_settings for one node."""
        folder = self.nodes[name].folder
        common = {
            "tls-cert-file": str(folder / "tls/node.crt"),
            "tls-key-file": str(folder / "tls/node.key"),
            "tls-ca-cert-file": str(folder / "tls/ca.crt"),
        }
        process: dict[str, dict[str, Any]] = {
            which: {
                "port": port,
                "config_file": str(folder / f"{which}.conf"),
                "acl_file": str(folder / f"{which}.acl"),
                "acl": (folder / f"{which}.acl.declared").read_text("utf-8"),
                "settings": {**common, "tls-port": str(port)},
            }
            for which, port in (("redis", self.port), ("sentinel", self.sentinel_port))
        }
        process["redis"]["settings"] |= {"maxmemory": "64mb", "min-replicas-to-write": 1, "appendonly": True}
        return {
            **self.options(),
            **process,
            "address": NODES[name],
            "replication_password": PASSWORDS["replication"],
            "sentinel_password": PASSWORDS["sentinel"],
            "master_settings": {"quorum": 2, "down-after-milliseconds": 2000, "auth-user": "sentinel"},
            "sentinel_settings": {"announce-ip": NODES[name], "sentinel-user": "sentinel"},
            "master": NODES["node1"],
            "passwords": "accepted",
            "reload_tls": False,
            "restart": [],
            "wait_s": 20.0,
            **changes,
        }


def redis_files(base: Path, certificates: Path, port: int, sentinel_port: int) -> list[File]:
    """Return the files of three nodes, which differ from real ones in their folders only."""
    files = []
    for name, address in NODES.items():
        folder = base / name
        (folder / "data").mkdir(parents=True)
        (folder / "tls").mkdir()
        for source, target in (
            (certificates / "ca.crt", "ca.crt"),
            (certificates / f"nodes/{name}.crt", "node.crt"),
            (certificates / f"nodes/{name}.key", "node.key"),
        ):
            (folder / "tls" / target).symlink_to(source)
        variables = {
            "redis_members": MEMBERS,
            "redis_name": name,
            "redis_address": address,
            "redis_port": port,
            "redis_sentinel_port": sentinel_port,
            "redis_data_dir": str(folder / "data"),
            "redis_maxmemory": "64mb",
            "redis_settings": {"bind": address},
            "redis_timing": {"sentinel_down_after_ms": 2000, "sentinel_failover_timeout_ms": 5000},
            "redis_admin_password": PASSWORDS["admin"],
            "redis_replication_password": PASSWORDS["replication"],
            "redis_sentinel_password": PASSWORDS["sentinel"],
            "__redis_topology": {"configured": False, "master": ""},
            "__redis_tls_dir": str(folder / "tls"),
            "__redis_acl_file": str(folder / "redis.acl"),
            "__redis_sentinel_acl_file": str(folder / "sentinel.acl"),
        }
        templates = ("redis.conf.j2", "sentinel.conf.j2", "redis.acl.j2", "sentinel.acl.j2")
        files += [File("redis", template, folder / template.removesuffix(".j2"), variables) for template in templates]
    return files


@pytest.fixture(scope="session")
def redis_rendered(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> tuple[Path, int, int]:
    """Return a directory with the files of three new nodes, and the ports in them."""
    base, port, sentinel_port = tmp_path_factory.mktemp("rendered"), free_port(), free_port()
    render(redis_files(base, certificates, port, sentinel_port), base)
    for name, address in NODES.items():
        # All nodes are this machine: a Sentinel must keep to the address of its node, and to its folder.
        config = base / name / "sentinel.conf"
        text = config.read_text("utf-8").replace("dir /var/lib/redis\n", f"dir {base / name}\nbind {address}\n")
        config.write_text(text, "utf-8")
        for which in ("redis", "sentinel"):
            shutil.copy(base / name / f"{which}.acl", base / name / f"{which}.acl.declared")
    return base, port, sentinel_port


@pytest.fixture
def servers(tmp_path: Path, certificates: Path, redis_rendered: tuple[Path, int, int]) -> Iterator[Servers]:
    """Run three Redis servers and three Sentinels with the files that the role renders for new nodes."""
    need("redis-server")
    need("redis-sentinel")
    rendered, port, sentinel_port = redis_rendered
    nodes = {name: Node(tmp_path / name, address) for name, address in NODES.items()}
    for name, node in nodes.items():
        shutil.copytree(rendered / name, node.folder, symlinks=True)
        for config in node.folder.glob("*.conf"):
            config.write_text(config.read_text("utf-8").replace(str(rendered), str(tmp_path)), "utf-8")
    try:
        for node in nodes.values():
            node.start("redis")
        for node in nodes.values():
            node.start("sentinel")
        yield Servers(nodes, port, sentinel_port, certificates)
    finally:
        for node in nodes.values():
            for which in list(node.processes):
                node.kill(which)


def haproxy_files(base: Path, certificates: Path, ports: Mapping[str, int], name: str, timing: str) -> list[File]:
    """Return the files of one balancer."""
    base.mkdir()
    for source, target in (
        (certificates / "ca.crt", "ca.crt"),
        (certificates / f"nodes/{name}.crt", "node.crt"),
        (certificates / f"nodes/{name}.key", "node.key"),
    ):
        (base / target).symlink_to(source)
    variables = {
        "haproxy_servers": MEMBERS,
        "haproxy_workers": [{"group": "1", "members": MEMBERS[:2]}, {"group": "2", "members": MEMBERS[2:]}],
        "haproxy_peers": list(NODES.values()),
        "haproxy_node_address": NODES[name],
        "haproxy_address": SHARED_ADDRESS,
        # keepalived refuses the loopback interface.
        "haproxy_interface": next((name for _, name in socket.if_nameindex() if name != "lo"), "lo"),
        "haproxy_timing": profile(timing).as_dict(),
        "haproxy_stats_password": PASSWORDS["stats"],
        "haproxy_vrrp_password": PASSWORDS["vrrp"],
        **{f"haproxy_{key}_port": port for key, port in ports.items()},
        "__haproxy_tls_dir": str(base),
        "__haproxy_probe": str(base / "haproxy-serves"),
        "__haproxy_users_file": str(base / "users.cfg"),
        "__haproxy_route": {},
    }
    templates = ("haproxy.cfg.j2", "users.cfg.j2", "keepalived.conf.j2", "haproxy-serves.j2")
    return [File("haproxy", template, base / template.removesuffix(".j2"), variables) for template in templates]
