"""Certificates, a TLS server and ansible-playbook for the tests of the collection's core."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.halab.stack.plugins.module_utils.certificates import Keeper

ROOT = Path(__file__).parents[3]

PARAMETERS: dict[str, Any] = {
    "hosts": [
        {"name": "pg1", "address": "127.0.0.1", "names": [], "addresses": ["10.0.0.9"]},
        {"name": "pg2", "address": "10.0.0.2", "names": ["pg2.example.org"], "addresses": []},
    ],
    "client_name": "client",
    "authority_name": "halab authority",
    "authority_cert": None,
    "authority_key": None,
    "authority_passphrase": None,
    "validity_days": 825,
    "authority_validity_days": 3650,
    "renew_before_days": 30,
}

MakeKeeper = Callable[..., Keeper]
RunTasks = Callable[..., "PlaybookResult"]


@pytest.fixture
def make_keeper(tmp_path: Path) -> MakeKeeper:
    """Return a keeper of the certificates in a directory of this test; keywords change its parameters."""

    def make(*, after_days: float = 0, **changes: Any) -> Keeper:
        now = dt.datetime.now(dt.UTC) + dt.timedelta(days=after_days)
        return Keeper.of({"directory": str(tmp_path / "state" / "certs"), **PARAMETERS, **changes}, now=now)

    return make


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of certificates that only tests that do not change it may use."""
    directory = tmp_path_factory.mktemp("state") / "certs"
    Keeper.of({"directory": str(directory), **PARAMETERS}, now=dt.datetime.now(dt.UTC)).keep()
    return directory


class PlaybookResult:
    """What ansible-playbook said: its whole output, and the result of each task by name."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        """Read the output of a run."""
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.tasks: dict[str, dict[str, Any]] = {}
        begin = done.stdout.find("{\n")
        if begin >= 0:
            plays = json.JSONDecoder().raw_decode(done.stdout[begin:])[0]["plays"]
            self.tasks = {
                task["task"]["name"]: result
                for play in plays
                for task in play["tasks"]
                for result in task["hosts"].values()
            }


@pytest.fixture
def run_tasks(tmp_path: Path) -> RunTasks:
    """Return a function that runs tasks on this machine with ansible-playbook, in a folder with templates and files."""
    program = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert program, "ansible-playbook is not installed beside this Python"

    def run(tasks: list[Mapping[str, Any]], *options: str, **variables: Any) -> PlaybookResult:
        play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), "utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_STDOUT_CALLBACK": "results",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        # As JSON, because key=value is split at the spaces of a path.
        interpreter = json.dumps({"ansible_python_interpreter": sys.executable})
        command = [program, "-i", "localhost,", "-c", "local", "-e", interpreter]
        return PlaybookResult(
            subprocess.run(
                [*command, *options, "play.yml"],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=100,
            )
        )

    return run
