# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults of a machine's power, as plans made of the commands by which its site switches it."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import net
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import check_ttl, common
from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv, checked_id
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.power_agent import mark_of
from ansible_collections.halab.faults.plugins.module_utils.probes import Probe, output, run, ssh

PART = "power_agent"
# By hook: an example of it.
HOOKS = {
    "off": "[ipmitool, -H, db1-bmc, -f, /etc/ipmi.password, chassis, power, 'off']",
    "on": "[ipmitool, -H, db1-bmc, -f, /etc/ipmi.password, chassis, power, 'on']",
    "state": "[/usr/local/bin/power-state, db1]",
    "reset": "[ipmitool, -H, db1-bmc, -f, /etc/ipmi.password, chassis, power, reset]",
    "freeze": "[virsh, --connect, 'qemu+ssh://host/system', suspend, db1]",
    "thaw": "[virsh, --connect, 'qemu+ssh://host/system', resume, db1]",
    "lose": "[/usr/local/bin/power-off-without-disk-cache, db1]",
}
# By kind: the hooks that it needs, the one that brings it about, the one that undoes it, and what `state` then says.
KINDS: Mapping[str, tuple[tuple[str, ...], str, str, str]] = {
    "off": (("off", "on", "state"), "off", "on", "off"),
    "reset": (("reset",), "reset", "on", "on"),
    "freeze": (("freeze", "thaw", "state"), "freeze", "thaw", "frozen"),
    "loss": (("lose", "on", "state"), "lose", "on", "off"),
}
STATES = ("on", "off", "frozen")
# A reset is seen when its watcher's connection dies, so the watcher must live longer than anybody waits for that.
_WATCH_MORE_S = 10


def checked(parameters: Mapping[str, Any]) -> None:
    """Raises FaultError for what can be refused without looking at the machine, LedgerError for an unusable id."""
    checked_id(parameters["id"])
    if parameters["state"] != "injected":
        return
    check_ttl(parameters["ttl"])
    for name in ("observed_within", "gone_within"):
        if parameters[name] <= 0:
            raise FaultError(f"{name} = {parameters[name]}: is not a positive number of seconds. Nothing was changed.")
    if not 1 <= parameters["port"] <= 65535:
        raise FaultError(f"port = {parameters['port']}: is not a port. Give 1 to 65535. Nothing was changed.")
    _check_hooks(parameters)
    if parameters["kind"] == "reset" and not parameters["address"]:
        raise FaultError(
            f"address of {parameters['host']}: not given, and a reset is only seen by a connection that it cuts. "
            "Give the address of its SSH server. Nothing was changed."
        )
    if is_controller(parameters["host"], parameters["address"]):
        raise FaultError(
            f"host = {parameters['host']!r}: is the controller, which must heal the fault. Choose another "
            "machine. Nothing was changed."
        )


def _check_hooks(parameters: Mapping[str, Any]) -> None:
    kind = parameters["kind"]
    needed = KINDS[kind][0]
    if kind == "reset" and parameters["off_command"] and parameters["on_command"]:
        needed = ()
    missing = [name for name in needed if not parameters[f"{name}_command"]]
    if missing:
        examples = "; ".join(f"{name}: {HOOKS[name]}" for name in missing)
        raise FaultError(
            f"{', '.join(f'{name}_command' for name in missing)} of {parameters['host']}: not given, so kind = {kind} "
            f"cannot be done. Give the inventory variable machine_power of the machine with such commands of its "
            f"site, for example {examples}. Nothing was changed."
        )


def is_controller(host: str, address: str) -> bool:
    """Whether this is the machine that we run on; `address` may be a name or empty, which tells nothing."""
    if host in ("localhost", socket.gethostname()):
        return True
    try:
        return net.is_own(address)
    except ValueError:
        return False


def check_state(parameters: Mapping[str, Any]) -> None:
    """Raises FaultError unless the machine's hook can tell its state. A reset can do without: SSH tells its end."""
    if not parameters["state_command"]:
        return
    code, said, err = run(parameters["state_command"])
    if code != 0 or said.partition("\n")[0] not in STATES:
        raise FaultError(
            f"state_command of {parameters['host']}: exited {code} and printed {said or err!r}. "
            "It must exit 0 and print the word on or off, or frozen. Nothing was changed."
        )


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """The plan of a fault whose parameters were checked."""
    kind = parameters["kind"]
    _needed, hook, remedy, seen = KINDS[kind]
    state = parameters["state_command"]
    address, port = parameters["address"], parameters["port"]
    agent = Agent(Path(parameters["ledger_dir"]), (PART,))
    undo: tuple[Argv, ...] = _commands(parameters, remedy)
    if kind == "reset":
        inject, observed, unwatch = _reset(parameters, agent)
        undo += unwatch
    else:
        inject = _commands(parameters, hook)
        observed = (output(state, seen), *([ssh(address, port, answers=False)] if address else []))
    return Plan(
        **common(parameters),
        fault="power",
        target=parameters["host"] if kind == "off" else f"{parameters['host']} ({kind})",
        exclusive=f"power {parameters['host']}",
        parts=agent.parts,
        inject=inject,
        undo=undo,
        observed=observed,
        gone=(*([output(state, "on")] if state else []), *([ssh(address, port, answers=True)] if address else [])),
        observed_within_s=parameters["observed_within"],
        gone_within_s=parameters["gone_within"],
    )


def _reset(parameters: Mapping[str, Any], agent: Agent) -> tuple[tuple[Argv, ...], tuple[Probe, ...], tuple[Argv, ...]]:
    """Injection, proof and undo of a reset: around the hook, a watcher with a connection to the machine."""
    ledger, entry_id = str(agent.directory), parameters["id"]
    mark = str(mark_of(agent.directory, entry_id))
    lives_s = str(parameters["observed_within"] + _WATCH_MORE_S)
    watcher = agent.argv("power-watch", mark, parameters["address"], str(parameters["port"]), lives_s)
    reset = _commands(parameters, "reset") or (*_commands(parameters, "off"), *_commands(parameters, "on"))
    inject = (agent.argv("spawn", ledger, entry_id, *watcher), agent.argv("power-watching", mark), *reset)
    unwatch = (agent.argv("reap", ledger, entry_id), agent.argv("power-unwatch", mark))
    return inject, (output(agent.argv("power-watched", mark), "cut"),), unwatch


def _commands(parameters: Mapping[str, Any], hook: str) -> tuple[Argv, ...]:
    argv: Sequence[str] = parameters[f"{hook}_command"]
    return (tuple(argv),) if argv else ()
