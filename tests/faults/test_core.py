"""The core on a machine, without any family: who heals, what lasts, and what the clock on the wall has to say."""

from __future__ import annotations

import base64
import io
import json
import shlex
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.faults.support.lab import ROOT, SUPPORT
from tests.faults.support.machines import CommandFailed, Node

PACKAGE = "ansible_collections/halab/faults/plugins/module_utils"
FOLDER = "/tmp/halab-core"
LEDGER = "/var/lib/halab/ledger"
FAKETIME = "LD_PRELOAD=$(ls /usr/lib/*/faketime/libfaketime.so.1) FAKETIME_DONT_FAKE_MONOTONIC=1"


@dataclass(frozen=True)
class Core:
    """The core's code on a node, and faults of bare commands made with it."""

    node: Node

    def act(self, plan: dict[str, Any], *, environment: str = "") -> dict[str, Any]:
        words = f"{environment} python3 -I {FOLDER}/core_fault.py {FOLDER} {shlex.quote(json.dumps(plan))}"
        return dict(json.loads(self.node.run(words)))

    def sleeper(self, entry: str, *, ttl: int = 60, environment: str = "") -> dict[str, Any]:
        """A process that ends with the fault, and one of its children."""
        command = ["sh", "-c", f"sleep 4321 & exec sleep 1234  # {entry}"]
        plan = {
            "id": entry, "ttl": ttl, "inject": ["@agent", "spawn", LEDGER, entry, *command],
            "undo": ["@agent", "reap", LEDGER, entry], "look": ["@agent", "injecting", LEDGER, entry],
            "acting": "running", "gone": "none", "outlives_boot": False,
        }  # fmt: skip
        return self.act(plan, environment=environment)

    def file(self, entry: str, *, ttl: int = 60, made: bool = True) -> dict[str, Any]:
        """A file, which a restart of the machine does not take away."""
        path = f"/srv/data/{entry}"
        plan = {
            "id": entry, "ttl": ttl, "inject": ["touch" if made else "true", path], "undo": ["rm", "-f", path],
            "look": ["sh", "-c", f"test -e {path} && echo there || echo none"],
            "acting": "there", "gone": "none", "outlives_boot": True,
        }  # fmt: skip
        return self.act(plan)

    def heal(self, entry: str) -> dict[str, Any]:
        return self.act({"id": entry})

    def await_healed(self, entry: str, *, within_s: float) -> None:
        self.node.await_holds(f"! test -e {LEDGER}/{entry}.json", within_s=within_s)

    def guardian(self, entry: str) -> str:
        return self.node.run(f"pgrep -f 'agent-.* guard .* {entry}$'")


@pytest.fixture
def core(node: Node) -> Iterator[Core]:
    """The core on m1, copied as it is in the tree."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in sorted((ROOT / "collections" / PACKAGE).glob("*.py")):
            tar.add(path, f"{PACKAGE}/{path.name}")
        tar.add(SUPPORT / "core_fault.py", "core_fault.py")
    text = base64.encodebytes(archive.getvalue()).decode()
    node.run(f"rm -rf {FOLDER}; mkdir {FOLDER} && base64 -d | tar xz -C {FOLDER}", given=text)
    yield Core(node)
    node.run(f"rm -r {FOLDER}")


def test_guardian_is_a_service_that_outlives_ssh(core: Core) -> None:
    """It belongs to the system, not to the session that started it, and heals when that is long gone."""
    core.sleeper("outlives", ttl=6)
    guardian = core.guardian("outlives")
    group = core.node.run(f"cat /proc/{guardian}/cgroup")
    assert "system.slice/halab-guardian-" in group
    unit = group.split("system.slice/")[1].split()[0]
    assert "Restart=on-failure" in core.node.run(f"systemctl show {unit} --property=Restart")
    core.node.cut_ssh()
    assert core.guardian("outlives") == guardian, "it went with the session and came back"
    assert core.node.holds("pgrep -f 'sleep 123[4]'"), "the injector went with the session"
    core.await_healed("outlives", within_s=6 + 5)
    assert not core.node.holds("pgrep -f 'sleep 123[4]'")


def test_injector_ends_with_its_children(core: Core) -> None:
    """Nothing that an injector started is left."""
    core.sleeper("children")
    assert core.node.holds("pgrep -f 'sleep 432[1]'")
    core.heal("children")
    assert not core.node.holds("pgrep -f 'sleep (432[1]|123[4])'")


def test_guardian_that_is_stopped_heals_first(core: Core) -> None:
    """Who ends a guardian in good order, as a shutdown does, gets a machine without its fault."""
    core.sleeper("stopped", ttl=300)
    unit = core.node.run(f"grep -o 'halab-guardian-[^/]*service' /proc/{core.guardian('stopped')}/cgroup | head -n 1")
    core.node.run(f"systemctl stop {unit}")
    core.await_healed("stopped", within_s=5)
    assert not core.node.holds("pgrep -f 'sleep 123[4]'")


def test_sweep_at_boot_is_there_only_while_needed(core: Core) -> None:
    """It is made with the first fault and taken away with the last."""
    there = "ls /etc/systemd/system/halab-sweep-*.service /etc/systemd/system/multi-user.target.wants/halab-sweep-*"
    assert not core.node.holds(there)
    core.sleeper("first")
    assert core.node.holds(there)
    core.file("second")
    assert core.node.run("systemctl is-enabled $(basename /etc/systemd/system/halab-sweep-*.service)") == "enabled"
    core.heal("first")
    assert core.node.holds(there), "it was taken away while a fault needs it"
    core.heal("second")
    assert not core.node.holds(there)


@pytest.mark.parametrize("step", ["+1d", "-1d"])
def test_a_stepped_clock_changes_nothing(core: Core, step: str) -> None:
    """Injected a day ahead of, or behind, the machine's clock, as if that had been stepped since: the ttl stays."""
    result = core.sleeper("stepped", ttl=5, environment=f"FAKETIME={step} {FAKETIME}")
    began = time.monotonic()
    wall = core.node.run(f"date -d {result['injected_at']['wall']} +%s")
    assert abs(int(wall) - int(core.node.run("date +%s"))) > 80000, "the clock was not stepped"
    core.node.await_holds(f"test -e {LEDGER}/stepped.json", within_s=1)
    time.sleep(2.0)
    assert core.node.holds("pgrep -f 'sleep 123[4]'"), "healed by the clock on the wall"
    core.await_healed("stepped", within_s=began + 5 + 5 - time.monotonic())


def test_what_is_not_observed_is_undone(core: Core) -> None:
    """A fault without an effect fails, and leaves neither entry nor guardian nor sweep."""
    with pytest.raises(CommandFailed, match="not observed within 2 s"):
        core.file("vain", made=False)
    assert core.node.run(f"ls {LEDGER}") == ""


def test_the_clock_that_counts_is_monotonic_in_the_ledger(core: Core) -> None:
    """The entry says when it ends in the clock that nobody can step, and which boot that clock belongs to."""
    core.file("written", ttl=300)
    entry = json.loads(core.node.run(f"cat {LEDGER}/written.json"))
    now = int(core.node.run("python3 -c 'import time; print(time.monotonic_ns())'"))
    assert 280e9 < entry["expires"]["monotonic_ns"] - now <= 300e9
    assert entry["expires"]["boot_id"] == core.node.run("cat /proc/sys/kernel/random/boot_id")
    core.heal("written")
