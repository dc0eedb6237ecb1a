"""The switch of virtual machines, with a process of ours in place of QEMU; a real one boots in tests/vm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.halab.lab.plugins.module_utils import engine, switchboard, vm_host, vm_switch
from ansible_collections.halab.lab.plugins.module_utils.vm_image import VmImage
from halab.waiting import eventually

PROGRAM = """\
import os, pathlib, sys, time
if os.fork():
    os._exit(0)
os.setsid()
for number in range(3):
    os.close(number)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(120)
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[vm_switch.Machine]:
    """A machine that was made and is off."""
    folder = tmp_path / "a store" / "lab-1"
    (folder / "hostkeys/m1").mkdir(parents=True)
    made = vm_switch.Machine(folder, "m1")
    made.home.mkdir(parents=True)
    command = [sys.executable, "-c", PROGRAM, str(made.home / "pid"), "-name", made.name]
    cable = {"bridge": "hl0", "gateway": "10.0.0.1/24", "tap": "hl0-11"}
    (made.home / "machine.json").write_text(json.dumps({"spec": "x", "cable": cable, "command": command}))

    def write(path: Path, content: bytes, mode: int) -> None:
        path.write_bytes(content)
        path.chmod(mode)

    switchboard.install(folder, "vm", write)
    yield made
    vm_switch.off(made)


@pytest.fixture
def power(machine: vm_switch.Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its switch, for who is not root and has no network to change; `ip` writes down what it is told."""
    tools = machine.folder.parent / "tools"
    tools.mkdir()
    for name, text in {"id": "echo 0", "ip": f"echo \"$*\" >>'{machine.folder}/ip'"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin")
    return machine.folder / "power"


def turn(power: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([power, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("verbs", "state"),
    [
        (["off"], "off"),
        (["on", "on"], "on"),
        (["on", "freeze", "freeze"], "frozen"),
        (["on", "freeze", "thaw", "thaw"], "on"),
        (["thaw"], "off"),
        (["on", "freeze", "off", "off"], "off"),
        (["on", "reset"], "on"),
        (["reset"], "on"),
        (["on", "lose"], "off"),
    ],
)
def test_verbs(machine: vm_switch.Machine, power: Path, verbs: list[str], state: str) -> None:
    for verb in verbs:
        done = turn(power, verb, "m1")
        assert done.returncode == 0, done.stderr
    assert turn(power, "state", "m1").stdout == f"{state}\n"
    assert machine.look()[0] == state


def test_on_plugs_the_cable_in(machine: vm_switch.Machine, power: Path) -> None:
    assert turn(power, "on", "m1").returncode == 0
    said = (machine.folder / "ip").read_text().splitlines()
    assert said == [
        "link add hl0 type bridge", "address replace 10.0.0.1/24 dev hl0", "link set hl0 up",
        "tuntap add hl0-11 mode tap", "link set hl0-11 master hl0 up",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "words", "says"),
    [
        ([], ["freeze", "m1"], "m1: is off, so there is nothing to freeze"),
        ([], ["lose", "m1"], "m1: is off, so it has lost already"),
        (["freeze"], ["on", "m1"], "m1: is frozen, not off. Say: power thaw m1"),
        ([], ["limit", "m1", "get"], "a machine of kind vm has no limits from outside"),
        ([], ["off", "m9"], "'m9': is no machine of lab-1. It has m1"),
    ],
)
def test_refusals(power: Path, before: list[str], words: list[str], says: str) -> None:
    for verb in before:
        turn(power, "on", "m1")
        turn(power, verb, "m1")
    done = turn(power, *words)
    assert done.returncode == 1
    assert says in done.stderr


def test_a_number_that_somebody_else_has_now_is_not_the_machine(machine: vm_switch.Machine) -> None:
    (machine.home / "pid").write_text(str(os.getpid()))
    assert machine.look() == ("off", 0)
    vm_switch.off(machine)  # and this test lives on


def test_a_dead_process_is_off_although_nobody_collects_it(machine: vm_switch.Machine) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "-name", machine.name])
    (machine.home / "pid").write_text(str(process.pid))
    eventually(lambda: machine.look() == ("on", process.pid), within_s=10, what="the process carries its name")
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert machine.look() == ("off", 0)
    process.wait()


def test_a_description_that_is_missing_is_named(machine: vm_switch.Machine) -> None:
    (machine.home / "machine.json").unlink()
    with pytest.raises(vm_switch.SwitchError, match="m1: there is no such machine"):
        vm_switch.on(machine)


def test_what_the_host_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(engine.EngineError, match=r"apt-get install .*e2fsprogs iproute2 qemu-system-x86 qemu-utils"):
        vm_host.check()


@pytest.mark.parametrize(("script", "acceleration"), [("exit 0", "kvm"), ("exit 1", "tcg"), ("exec sleep 60", "tcg")])
def test_kvm_is_used_only_where_a_kernel_boots_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, acceleration: str
) -> None:
    (tmp_path / vm_host.QEMU).write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / vm_host.QEMU).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(vm_host, "PROBE_WITHIN_S", 1.0)
    monkeypatch.setattr(vm_host.os, "access", lambda *_: True)
    assert vm_host.probe(VmImage("image", tmp_path)).acceleration == acceleration


def test_images_differ_by_what_is_in_them(tmp_path: Path) -> None:
    first, second = VmImage.of("node:1", tmp_path), VmImage.of("node:2", tmp_path)
    assert first.folder != second.folder
    assert VmImage.of("node:1", tmp_path) == first
