"""Every scenario of molecule: bare machine, check mode, converge, idempotence, verify, a fault, verify again.

All use the machines that the first has made; each begins by installing them anew. `molecule test -s NAME` alone does
the same on machines that it makes and removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.molecule.selection import ROOT, Scenario

from ansible_collections.halab.stack.plugins.module_utils.citus_package import Wanted, find

WITHIN_S = 900
DESTROYED_WITHIN_S = 120
SHOWN_LINES = 80
ROLES = ROOT / "collections/ansible_collections/halab/stack/roles"
LOGS = ROOT / "build/molecule"

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(WITHIN_S + DESTROYED_WITHIN_S)]


@pytest.fixture(scope="module")
def machines() -> Iterator[None]:
    """Machines for all scenarios, removed at the end whatever happened. The first scenario makes them."""
    if not (shutil.which("podman") or shutil.which("docker")):
        pytest.skip("needs a container engine: neither podman nor docker is installed")
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("another run in this checkout has the machines: wait for its end, or use another checkout")
        yield
        done = _run("ansible-playbook", "playbooks/destroy.yml", "-i", "molecule/shared/inventory", log="destroy")
        assert done == 0, _last_lines("destroy")


@pytest.mark.usefixtures("machines")
def test_the_scenario_holds(scenario: Scenario) -> None:
    if scenario.role == "citus" and (lacking := _package_that_is_lacking()):
        pytest.skip(lacking)
    # What an earlier run left would let steps be skipped as done.
    assert _run("molecule", "reset", "-s", scenario.name, log=scenario.name) == 0, _last_lines(scenario.name)
    keep = [] if scenario.own else ["--destroy", "never"]
    done = _run("molecule", "test", "-s", scenario.name, *keep, log=scenario.name)
    assert done == 0, _last_lines(scenario.name)


def _package_that_is_lacking() -> str:
    """Citus is in no archive of Debian; empty where a package is in the folder in which the role looks for one."""
    defaults = yaml.safe_load((ROLES / "citus/defaults/main.yml").read_text("utf-8"))
    version, folder = str(defaults["citus_version"]), defaults["citus_package_dir"]
    wanted = Wanted(version, str(defaults["citus_postgresql_version"]), package_dir=folder)
    return "" if find(wanted) else f"needs a package of Citus: put {wanted.name}_*.deb into {folder} (docs/citus.md)"


def _run(*command: str, log: str) -> int:
    """Exit code of a command whose output goes into a log; an interrupt and a deadline end all that it started."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "LC_ALL": "C.UTF-8",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(LOGS / "state" / log),
        "NO_COLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (LOGS / f"{log}.log").open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            return process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            file.write(f"\nnot done within {WITHIN_S} s\n")
            return 124
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(DESTROYED_WITHIN_S)


def _last_lines(log: str) -> str:
    path = LOGS / f"{log}.log"
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return "\n".join([f"the end of {path.relative_to(ROOT)}:", *lines[-SHOWN_LINES:]])
