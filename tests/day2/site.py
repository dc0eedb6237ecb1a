"""A cluster of five machines that the tests of day 2 describe anew again and again, and the playbooks that follow."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from halab import inventory
from halab.inventory import Cluster

ROOT = Path(__file__).resolve().parents[2]
PLAY_WITHIN_S = 900
MACHINES = ("node1", "node2", "node3", "node4", "node5")
THREE = MACHINES[:3]
"""Every component is on these at first; the others are idle."""

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.+?)\] \*")
_CHANGED = re.compile(r"^changed: \[([^\]]+?)(?: -> [^\]]+)?\]")
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)")


@dataclass(frozen=True, slots=True)
class Played:
    """What a playbook did: its exit code, what it said, the tasks that changed something and on which host."""

    code: int
    output: str

    @property
    def changed(self) -> set[tuple[str, str]]:
        """Pairs of task and host."""
        found, task = set(), ""
        for line in self.output.splitlines():
            if named := _TASK.match(line):
                task = named[1]
            elif one := _CHANGED.match(line):
                found.add((task, one[1]))
        return found

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        return {found[1]: int(found[2]) for line in self.output.splitlines() if (found := _RECAP.match(line))}


@dataclass(frozen=True, slots=True)
class Site:
    """An inventory folder and what people do with it."""

    folder: Path

    def describe(self, **groups: tuple[str, ...]) -> None:
        """Write the inventory: the groups given, all others on the first three machines."""
        members = {name: groups.get(name, THREE) for name in ("etcd", "patroni", "haproxy", "redis")}
        document = {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in members.items()}
        document["machines"] = {"hosts": dict.fromkeys(MACHINES)}
        (self.folder / "hosts.yml").write_text(json.dumps(document, indent=2))

    def cluster(self) -> Cluster:
        """The cluster as it is described now."""
        return inventory.load(self.folder)

    def start(self, playbook: str, *options: str) -> subprocess.Popen[str]:
        """Run a playbook in a session of its own, so that a test can kill all of it."""
        return subprocess.Popen(
            ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(self.folder), *options],
            cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def try_play(self, playbook: str, *options: str) -> Played:
        """Run a playbook to its end, whatever that is."""
        process = self.start(playbook, *options)
        try:
            output, _ = process.communicate(timeout=PLAY_WITHIN_S)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise
        return Played(process.returncode, output)

    def play(self, playbook: str, *options: str) -> Played:
        """Run a playbook, which must succeed."""
        played = self.try_play(playbook, *options)
        assert played.code == 0, played.output
        return played

    def provision(self, *options: str) -> Played:
        """Bring the cluster to what is described."""
        return self.play("provision", *options)

    def kill_at(self, task: str, *options: str) -> str:
        """Provision, and kill the run at once when it comes to `task`; what it had said by then."""
        process = self.start("provision", *options)
        said = []
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if line.startswith(("TASK [", "RUNNING HANDLER [")) and task in line:
                _kill(process)
                break
        process.wait(30)
        process.stdout.close()
        text = "".join(said)
        assert task in text, f"the run ended without coming to {task}:\n{text}"
        return text

    def shell(self, hosts: str, script: str) -> dict[str, str]:
        """Run a script as root on machines; what each printed."""
        done = subprocess.run(
            ["ansible", hosts, "-i", str(self.folder), "--become", "-m", "ansible.builtin.shell", "-a", script],
            cwd=ROOT, env={**_environment(), "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
                           "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false"},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        parts = re.split(r"^(\S+) \| (?:CHANGED|SUCCESS) \| rc=0 >>\n", done.stdout, flags=re.MULTILINE)
        return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _kill(process: subprocess.Popen[str]) -> None:
    # Ansible's workers lead sessions of their own, and would outlive their parent and wait for it for ever.
    for one in [process.pid, *_descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in thread.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
