"""Labs of one bare machine, made by the real playbooks: a user's `create` and `destroy`, minus the stack's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HOSTS = """\
etcd: {hosts: {machine1: }}
patroni: {hosts: {machine1: }, vars: {patroni_synchronous_mode: "off"}}
haproxy: {}
redis: {}
"""
BARE = ("-e", '{"image_roles": []}')
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Lab:
    """An inventory folder of one machine and the playbooks that act on it."""

    folder: Path
    state: Path
    within_s: float = 300  # a playbook; a command on a machine has a fifth of it

    @property
    def environment(self) -> dict[str, str]:
        """The user's environment with a state folder of the test's own."""
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "XDG_STATE_HOME": str(self.state),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def start(self, playbook: str, *options: str) -> subprocess.Popen[str]:
        """Run a playbook in a session of its own, so that a test can kill all of it."""
        return subprocess.Popen(
            ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(self.folder), *options],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def play(self, playbook: str, *options: str) -> str:
        """Run a playbook to its end; its output."""
        process = self.start(playbook, *options)
        output, _ = process.communicate(timeout=self.within_s)
        assert process.returncode == 0, output
        return output

    def create(self, *options: str) -> str:
        """Create the machine from the bare base image."""
        return self.play("create", *BARE, *options)

    @property
    def id(self) -> str:
        """Id of the lab, read from its state folder."""
        return next((self.state / "halab").iterdir()).name

    def power(self, verb: str) -> str:
        """Turn the machine's power switch; what it says."""
        switch = f"/var/lib/halab/{self.id}/power"
        return subprocess.run([switch, verb, "machine1"], capture_output=True, text=True, check=True).stdout.strip()

    def destroy(self) -> str:
        """Remove everything of the lab."""
        return self.play("destroy")

    def ask(self, *command: str) -> str:
        """Run a command on the machine over SSH."""
        done = subprocess.run(
            ["ansible", "-i", str(self.folder), "machine1", "-m", "ansible.builtin.command", "-a", " ".join(command)],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=self.within_s / 5, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def make_lab(folder: Path) -> Lab:
    """Describe a lab of one machine in a folder."""
    folder.mkdir(parents=True)
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "machines.yml").write_text(
        "plugin: halab.lab.machines\nname: selftest\nvolumes:\n  - {name: data, path: /srv/data, size_mib: 64}\n"
    )
    return Lab(folder, folder.parent / "state")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """One lab, removed at the end whatever happened."""
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs a container engine: neither podman nor docker is installed")
    made = make_lab(tmp_path / "inventory")
    try:
        yield made
    finally:
        made.destroy()


@pytest.fixture
def other_lab(tmp_path: Path) -> Iterator[Lab]:
    """A second lab beside the first."""
    made = make_lab(tmp_path / "other" / "inventory")
    try:
        yield made
    finally:
        made.destroy()
