"""A lab of three machines in a folder of its own, and Ansible as the programs of a test use it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SUPPORT = Path(__file__).resolve().parent
NAMES = ("m1", "m2", "m3")
HOSTS = """\
etcd: {hosts: {m1: , m2: , m3: }}
patroni: {hosts: {m1: }, vars: {patroni_synchronous_mode: "off"}}
haproxy: {}
redis: {}
"""
MACHINES = "plugin: halab.lab.machines\nname: faults\nvolumes:\n  - {name: data, path: /srv/data, size_mib: 64}\n"
MODULE_WITHIN_S = 180.0


class ModuleFailed(Exception):  # noqa: N818 (the name that tests read best)
    """A module failed; `msg` is what it said, `result` all that it returned."""

    def __init__(self, msg: str, result: Mapping[str, Any]) -> None:
        super().__init__(msg)
        self.msg = msg
        self.result = result


@dataclass(frozen=True, slots=True)
class Started:
    """Ansible at work on a module, in a session of its own; process `pid` leads it."""

    connection: socket.socket
    pid: int
    results: Path
    output: Path

    def kill(self) -> None:
        """SIGKILL to all of it: nothing of Ansible gets a chance to clean up."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.connection.close()

    def result(self) -> dict[str, Any]:
        """Wait for the end; what the module returned. Raises ModuleFailed."""
        with self.connection, self.connection.makefile() as stream:
            stream.readline()
        lines = self.results.read_text().splitlines() if self.results.exists() else []
        if not lines:
            raise ModuleFailed(f"Ansible ended without a result: {self.output.read_text()}", {})
        record = json.loads(lines[-1])
        if record["verdict"] != "ok":
            raise ModuleFailed(str(record["result"].get("msg", record)), record["result"])
        return dict(record["result"])


@dataclass(slots=True)
class Lab:
    """An inventory folder and the programs that act on it, with everything they leave in a folder of its own."""

    folder: Path
    generation: int = 0
    server: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(SUPPORT / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "halab_results",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "HALAB_RESULTS": os.devnull,
            "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def describe(self) -> None:
        """Write the inventory."""
        self.inventory.mkdir(parents=True)
        (self.folder / "cp").mkdir(mode=0o700)
        (self.inventory / "hosts.yml").write_text(HOSTS)
        (self.inventory / "machines.yml").write_text(MACHINES)

    def start_server(self) -> None:
        """Start the process that carries out Ansible's commands."""
        self.server = subprocess.Popen(
            [sys.executable, str(SUPPORT / "ansible_server.py"), str(self._socket)],
            cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.server.stdout is not None
        assert self.server.stdout.readline() == "ready\n", "the server of Ansible did not start"

    def play(self, playbook: str, *options: str) -> str:
        """Run a playbook to its end; its output."""
        done = subprocess.run(
            ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(self.inventory), *options],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ansible(self, *arguments: str) -> Started:
        """Start an `ansible` command by the server."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(MODULE_WITHIN_S)
        connection.connect(str(self._socket))
        files = self.folder / "tmp" / uuid.uuid4().hex
        files.parent.mkdir(exist_ok=True)
        results, output = files.with_suffix(".json"), files.with_suffix(".txt")
        request = {
            "arguments": ["-i", str(self.inventory), *arguments],
            "environment": {"HALAB_RESULTS": str(results)},
            "output": str(output),
        }
        with connection.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            pid = int(stream.readline())
        return Started(connection, pid, results, output)

    @property
    def _socket(self) -> Path:
        return self.folder / "ansible.sock"

    def variables(self) -> dict[str, dict[str, Any]]:
        """Variables of every machine."""
        done = subprocess.run(
            ["ansible-inventory", "-i", str(self.inventory), "--list"],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return dict(json.loads(done.stdout)["_meta"]["hostvars"])

    def disconnect(self) -> None:
        """End the connections that are kept open for the next command."""
        for path in (self.folder / "cp").glob("*"):
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={path}", "-"], capture_output=True, check=False)

    def remove(self) -> None:
        """Destroy the machines and forget everything."""
        if self.server is not None:
            self.server.communicate(timeout=30)
        self.play("destroy")
        self.disconnect()
        shutil.rmtree(self.folder, ignore_errors=True)
