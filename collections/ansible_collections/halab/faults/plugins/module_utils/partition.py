# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the parameters of a cut to its plan; what can be refused is refused here, before anything changes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import (
    net,
    nft,
    packets,
    partition_agent,
    partition_cut,
    partition_probe,
    partition_rules,
)
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import require_capability, require_program
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.partition_cut import Cut
from ansible_collections.halab.faults.plugins.module_utils.probes import output, run

# In the order in which each imports those before it.
PARTS = tuple(
    part.__name__.rpartition(".")[2] for part in (nft, partition_cut, packets, partition_probe, partition_agent)
)
MOST_PEERS = 500
LEAST_PHASE_S = 0.2
_GONE_WITHIN_S = 10.0


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """Raises FaultError for what cannot be done as asked, with nothing changed."""
    _check_ports(parameters)
    _check_protocol(parameters)
    period_ms, on_ms = _flapping(parameters)
    if not 1 <= parameters["observed_within"] <= 300:
        raise FaultError(
            f"observed_within = {parameters['observed_within']}: is not a number of seconds from 1 to 300. "
            "Nothing was changed."
        )
    peers, shared = _peers(parameters)
    program = _require_means()
    table = nft.table_name(parameters["ledger_dir"], parameters["id"])
    cut = Cut(
        program=program,
        table=table,
        peers=peers,
        shared=shared,
        ports=tuple(sorted(set(parameters["ports"]))),
        **{name: parameters[name] for name in ("port_side", "protocol", "direction", "connections", "action")},
        deadline_ns=time.monotonic_ns() + parameters["ttl"] * 1_000_000_000,
        period_ms=period_ms,
        on_ms=on_ms,
    )
    return _plan(parameters, cut)


def _plan(parameters: Mapping[str, Any], cut: Cut) -> Plan:
    others = nft.tables(cut.program)
    acting = cut.table in others
    if cut.connections == "established":
        cut = _with_existing(cut, acting=acting)
    statements, families = _statements(parameters["id"], cut, rank=len(others), acting=acting)
    agent = Agent(Path(parameters["ledger_dir"]), PARTS)
    text = cut.dump()
    inject = nft.transaction(cut.program, statements)
    undo = nft.removal(cut.program, cut.table, families)
    ledger, entry = parameters["ledger_dir"], parameters["id"]
    return Plan(
        **common(parameters),
        fault="partition",
        target=describe(cut),
        parts=agent.parts,
        # Cuts of one machine never meet: each has its own table.
        exclusive=f"table {cut.table}",
        inject=(
            (inject, agent.argv("spawn", ledger, entry, *agent.argv("partition-flap", text)))
            if cut.period_ms
            else (inject,)
        ),
        undo=(agent.argv("reap", ledger, entry), undo) if cut.period_ms else (undo,),
        observed=(output(agent.argv("partition-state", text), "cut"),),
        gone=(output(agent.argv("nft-table", cut.program, cut.table), "absent"),),
        observed_within_s=parameters["observed_within"] + 2 * cut.period_ms / 1000,
        gone_within_s=_GONE_WITHIN_S,
    )


def describe(cut: Cut) -> str:
    """A cut in a few words."""
    ways = {"both": "both ways", "in": "inwards", "out": "outwards"}
    ports = f"port {', '.join(map(str, cut.ports))} ({cut.port_side})" if cut.ports else ""
    what = [
        ways[cut.direction],
        cut.protocol if cut.protocol != "all" else "",
        ports,
        f"{cut.connections} connections" if cut.connections != "all" else "",
        cut.action,
        f"{cut.on_ms} of every {cut.period_ms} ms" if cut.period_ms else "",
    ]
    return f"{', '.join((*cut.peers, *cut.shared))}: {', '.join(word for word in what if word)}"


def _statements(entry: str, cut: Cut, *, rank: int, acting: bool) -> tuple[list[str], tuple[str, ...]]:
    """What makes the cut, and the families of its tables, as far as this kernel has what it takes."""
    kept = _ssh_of_peers(cut)
    devices = net.devices_to(cut.peers) if cut.outwards and cut.action == "drop" else {}
    # Without the hook at egress leaving packets are dropped all the same, but their senders are told.
    choices: Sequence[Mapping[str, str]] = (devices, {}) if devices else ({},)
    problem = ""
    for chosen in choices:
        found = partition_rules.statements(cut, kept=kept, devices=chosen, rank=rank, comment=f"halab fault {entry}")
        if not cut.period_ms:
            found += cut.acting((cut.deadline_ns - time.monotonic_ns()) // 1_000_000)
        code, out, err = (0, "", "") if acting else run(nft.transaction(cut.program, found, check=True))
        if code == 0:
            return found, partition_rules.families(cut, chosen)
        problem = "; ".join(dict.fromkeys(line for line in (err or out).splitlines() if "rror" in line))
    raise FaultError(
        f"nftables: this kernel, or {cut.program}, cannot do this cut: {problem}. It takes Linux 5.10 and nftables 1.0 "
        "with sets that expire; use the fault power or service instead. Nothing was changed."
    )


def _require_means() -> str:
    program = require_program("nft", package="nftables", purpose="cutting this machine from a peer")
    require_capability(
        "CAP_NET_ADMIN",
        purpose="cutting this machine from a peer",
        instead="Grant it (podman run --cap-add NET_ADMIN), or cut on the other side with direction reversed.",
    )
    if not partition_probe.may_send():
        raise FaultError(
            "CAP_NET_RAW: is not granted to this machine's root (a container?), and proving a cut needs it. "
            "Grant it (podman run --cap-add NET_RAW), or cut on the other side. Nothing was changed."
        )
    return program


def _peers(parameters: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not 1 <= len(parameters["peers"]) <= MOST_PEERS:
        raise FaultError(
            f"peers = a list of {len(parameters['peers'])}: give 1 to {MOST_PEERS} addresses of other machines. "
            "Nothing was changed."
        )
    peers = net.resolve(parameters["peers"])
    for peer in peers:
        net.require_peer(peer)
    shared = net.resolve(parameters["shared"], key="shared")
    for address in shared:
        # This machine may hold a shared address now; that of the controller it must not be in any case.
        if not net.is_own(address):
            net.require_peer(address, key="shared")
    return peers, tuple(address for address in shared if address not in peers)


def _check_ports(parameters: Mapping[str, Any]) -> None:
    for port in parameters["ports"]:
        if not 1 <= port <= 65535:
            raise FaultError(f"ports = {port}: is not a port. Give numbers from 1 to 65535. Nothing was changed.")


def _check_protocol(parameters: Mapping[str, Any]) -> None:
    protocol, connections, action = (parameters[name] for name in ("protocol", "connections", "action"))
    if connections != "all" and protocol != "tcp":
        raise FaultError(
            f"connections = {connections!r}: only TCP has connections, and protocol is {protocol!r}. "
            "Set protocol: tcp. Nothing was changed."
        )
    if action == "reset" and protocol == "udp":
        raise FaultError("action = 'reset': only TCP can be reset. Set protocol: tcp. Nothing was changed.")


def _flapping(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """Milliseconds of a period and of its cut part; zeros when the cut does not flap."""
    flap = parameters["flap"]
    if not flap:
        return 0, 0
    period, duty = flap["period"], flap["duty"]
    if not 0 < duty < 1:
        raise FaultError(
            f"flap.duty = {duty:g}: is not between 0 and 1. Give the part of each period that is cut, such as 0.5. "
            "Nothing was changed."
        )
    if not 0 < period < parameters["ttl"]:
        raise FaultError(
            f"flap.period = {period:g}: is not a number of seconds between 0 and ttl = {parameters['ttl']}. "
            "Nothing was changed."
        )
    if min(period * duty, period * (1 - duty)) < LEAST_PHASE_S:
        raise FaultError(
            f"flap = {period:g} s with duty {duty:g}: cut or whole for less than {LEAST_PHASE_S:g} s at a time, which "
            "nobody can observe. Give a longer period. Nothing was changed."
        )
    return round(period * 1000), round(period * duty * 1000)


def _with_existing(cut: Cut, *, acting: bool) -> Cut:
    """The cut with the connections of now that it is about. One that acts already may have ended them."""
    found = tuple(
        (one.remote, one.remote_port, one.local_port)
        for one in net.connections()
        if one.remote in (*cut.peers, *cut.shared) and _concerns(cut, one) and one.local_port not in net.ssh_ports()
    )
    if not found and not acting:
        where = f" at port {', '.join(map(str, cut.ports))} ({cut.port_side})" if cut.ports else ""
        raise FaultError(
            f"connections = 'established': there is none with {', '.join(cut.peers)}{where}, SSH aside. "
            "Nothing was changed."
        )
    return replace(cut, existing=found)


def _concerns(cut: Cut, one: net.Connection) -> bool:
    ends = {"theirs": one.remote_port, "ours": one.local_port}
    return not cut.ports or any(ends[side] in cut.ports for side in cut.sides)


def _ssh_of_peers(cut: Cut) -> list[net.Connection]:
    """Sessions to our SSH server: whoever is in one keeps it."""
    ports = net.ssh_ports()
    return [one for one in net.connections() if one.local_port in ports and one.remote in (*cut.peers, *cut.shared)]
