# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of an impaired link: which mechanism this machine has, and the commands for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import (
    link_agent,
    link_check,
    link_measure,
    link_netem,
    link_netlink,
    link_packets,
    link_probe,
    link_queue,
    link_reading,
    link_shape,
    link_steer,
    net,
    packets,
)
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import require_capability, require_program
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.link_measure import Look
from ansible_collections.halab.faults.plugins.module_utils.link_packets import Target
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment
from ansible_collections.halab.faults.plugins.module_utils.link_steer import Steering, Traffic
from ansible_collections.halab.faults.plugins.module_utils.probes import output, run

PARTS = tuple(
    part.__name__.rpartition(".")[2]
    for part in (
        link_netlink,
        link_shape,
        link_queue,
        link_steer,
        link_netem,
        packets,
        link_packets,
        link_probe,
        link_reading,
        link_measure,
        link_agent,
    )
)
DIRECTIONS: Mapping[str, tuple[str, ...]] = {"in": ("in",), "out": ("out",), "both": ("in", "out")}
_BASELINE_PROBES = 40
_ANSWER_WITHIN_S = 1.0
_OBSERVED_WITHIN_S = 15.0
_GONE_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request."""

    parameters: Mapping[str, Any]
    traffic: Traffic
    asked: Impairment
    agent: Agent

    @property
    def here(self) -> tuple[str, str]:
        return str(self.agent.directory), str(self.parameters["id"])

    @property
    def target(self) -> str:
        return f"{self.asked.words()} {self.traffic.words()}"


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """Raises FaultError for what can be refused before anything changes."""
    directory = Path(parameters["ledger_dir"])
    controllers = net.controllers()
    asked = link_check.impairment(parameters)
    peers = link_check.addresses("peers", parameters["peers"], controllers)
    traffic = Traffic(
        peers=peers,
        ports=link_check.ports(parameters["ports"]),
        directions=DIRECTIONS[parameters["direction"]],
        spared=() if peers else link_check.spared(parameters["spare"], controllers),
    )
    if not 1 <= parameters["probe_port"] <= 65535:
        raise FaultError(
            f"probe_port = {parameters['probe_port']}: is not a port. Give 1 to 65535. Nothing was changed."
        )
    request = Request(parameters, traffic, asked, Agent(directory, PARTS))
    candidates = _candidates(request, controllers)
    purpose = "to impair a link"
    require_capability("CAP_NET_ADMIN", purpose=purpose, instead="Grant it to the machine.")
    if not link_probe.allowed():
        raise FaultError(f"CAP_NET_RAW: is not granted, and {purpose} needs it to measure. Nothing was changed.")
    # An active fault is compared, not measured anew: its peers may be silent because of it.
    acting = Ledger(directory).read(parameters["id"]) is not None
    targets = candidates if acting else _answering(candidates)
    look = Look(targets=targets, asked=asked, directions=traffic.directions)
    if look.impossible:
        raise FaultError(
            f"{asked.words()}: cannot be proven within {link_measure.LONGEST_S:g} s, {look.impossible}. Give larger "
            "percentages, a higher rate_kbit or fewer peers. Nothing was changed."
        )
    before = {} if acting else _round_trips(targets)
    why_not = reason_against_netem(traffic, asked) if parameters["mechanism"] != "nfqueue" else "not wanted"
    if not why_not:
        return _by_netem(request, look, before)
    if parameters["mechanism"] == "netem":
        raise FaultError(f"mechanism = 'netem': {why_not}. Use mechanism = 'nfqueue' or 'auto'. Nothing was changed.")
    return _by_queue(request, look, before)


def _candidates(request: Request, controllers: Collection[str]) -> tuple[Target, ...]:
    """Whom to measure, in each of the ways that the fault would touch."""
    spared = set(request.traffic.spared)
    named = link_check.addresses("probe", request.parameters["probe"], controllers)
    for host in named:
        if host in spared:
            raise FaultError(
                f"probe = {host}: is in spare, so nothing would be seen there. Name another. Nothing was changed."
            )
    hosts = request.traffic.peers or named or tuple(host for host in link_check.neighbours() if host not in spared)
    if not hosts:
        raise FaultError(
            "probe: is empty, as peers is, and this machine has spoken to no neighbour, so nothing could be measured. "
            "Give addresses of machines that answer in probe. Nothing was changed."
        )
    ways = request.traffic.ports or (0, request.parameters["probe_port"])
    return tuple(Target(host, port) for host in hosts for port in ways)


def _answering(candidates: tuple[Target, ...]) -> tuple[Target, ...]:
    """One way to each peer that answers. Raises FaultError when a peer answers in none."""
    answer = link_probe.answering(candidates, wait_s=_ANSWER_WITHIN_S)
    found: dict[str, Target] = {}
    for target in candidates:
        if target in answer:
            found.setdefault(target.address, target)
    silent = [host for host in dict.fromkeys(target.address for target in candidates) if host not in found]
    if silent:
        ports = sorted({target.port for target in candidates} - {0})
        how = ("neither by ICMP nor " if any(not target.port for target in candidates) else "not ") + f"on port {ports}"
        raise FaultError(
            f"peers = {', '.join(silent)}: answers {how}, so the effect could not be seen. Name a peer that is up, or "
            "a port in probe_port that its firewall lets answer. Nothing was changed."
        )
    return tuple(found.values())


def _round_trips(targets: tuple[Target, ...]) -> dict[str, dict[str, float]]:
    traces = link_measure.traced(targets, _BASELINE_PROBES, 0.002, _ANSWER_WITHIN_S)
    return {
        target.address: link_measure.round_trip([trace for trace in traces if trace.target == target])
        for target in targets
    }


def reason_against_netem(traffic: Traffic, asked: Impairment) -> str:
    """Why netem cannot do it here, empty when it can."""
    if asked.duplicate and len(traffic.peers) > 1:
        # Met in Linux 6.1.176, sch_netem.c: "cannot mix duplicating netems with other netems in tree".
        return "kernels refuse a netem that duplicates beside those of other peers"
    for kind in ("netem", "htb"):
        if not link_netlink.knows_qdisc(kind):
            return f"this kernel has no queueing discipline {kind}, and no module for it"
    devices = devices_of(traffic)
    if len(devices) != 1:
        return f"the traffic uses {len(devices)} devices ({', '.join(devices)}), and netem is set up on one"
    device = devices[0]
    handle = link_netem.root_handle(device)
    if "out" in traffic.directions and handle != "0:":
        return f"{device} has a queueing discipline of its own ({handle}), which would be lost"
    if "in" in traffic.directions and link_netem.has_ingress(device):
        return f"{device} has an ingress queueing discipline of its own, which would be lost"
    return ""


def devices_of(traffic: Traffic) -> tuple[str, ...]:
    """Devices that the traffic uses, in the kernel's routes."""
    if traffic.peers:
        routes = [json.loads(run(["ip", "-j", "-4", "route", "get", peer])[1] or "[]") for peer in traffic.peers]
    else:
        routes = [json.loads(run(["ip", "-j", "-4", "route", "show"])[1] or "[]")]
    return tuple(sorted({str(route["dev"]) for found in routes for route in found if route.get("dev", "lo") != "lo"}))


def _by_queue(request: Request, look: Look, before: Mapping[str, Any]) -> Plan:
    require_program("nft", package="nftables", purpose="to lead packets to the fault")
    native = link_steer.native_queue()
    if native is None:
        raise FaultError(
            "mechanism = 'nfqueue': this kernel can queue packets neither by nf_tables nor by x_tables (nft_queue, "
            "xt_NFQUEUE). Use a kernel that has one of them, or netem. Nothing was changed."
        )
    agent, here, traffic = request.agent, request.here, request.traffic
    table = link_steer.table_name(*here)
    queues = link_steer.free_queues(*here, traffic.directions)
    steering = Steering(table=table, traffic=traffic, queues=queues, native=native)
    served = json.dumps({"queues": queues, "apart": bool(traffic.peers)})
    client = agent.argv("link-queue", *here, served, json.dumps(request.asked.dump()))
    return _plan(
        request,
        look,
        before,
        mechanism="nfqueue",
        inject=(agent.argv("spawn", *here, *client), agent.argv("link-steer", *here, json.dumps(steering.dump()))),
        undo=(agent.argv("link-unsteer", table), agent.argv("reap", *here)),
        places={"table": table, "queues": queues},
        exclusive=f"link {traffic.words()}",
    )


def _by_netem(request: Request, look: Look, before: Mapping[str, Any]) -> Plan:
    for program in ("tc", "ip"):
        require_program(program, package="iproute2", purpose="netem")
    device = devices_of(request.traffic)[0]
    suffix = link_steer.table_name(*request.here)[-8:]
    tree = link_netem.Tree(
        device=device,
        ifb=f"{link_probe.IFB_PREFIX}{suffix}",
        # Any handle but those that the kernel gives by itself, which begin at 8001.
        major=f"{0x4000 + int(suffix, 16) % 0x3000:x}",
        traffic=request.traffic,
        impairment=request.asked,
    )
    place = (tree.device, tree.ifb, tree.major)
    return _plan(
        request,
        look,
        before,
        mechanism="netem",
        inject=tree.commands(),
        undo=(request.agent.argv("link-unnetem", *place),),
        places=dict(zip(("device", "ifb", "major"), place, strict=True)),
        exclusive=f"qdisc {device}",
    )


def _plan(
    request: Request, look: Look, before: Mapping[str, Any], *, mechanism: str, places: Mapping[str, Any], **more: Any
) -> Plan:
    agent = request.agent
    asked = json.dumps(look.dump())
    slow_s = 8 * (request.asked.delay_ms + request.asked.jitter_ms) / 1000
    return Plan(
        **common(request.parameters),
        fault="link",
        target=request.target,
        parts=agent.parts,
        observed=(output(agent.argv("link-state", asked), "impaired"),),
        gone=(
            output(agent.argv("link-gone", json.dumps(places), asked), "clear"),
            output(agent.argv("injecting", *request.here), "none"),
        ),
        observed_within_s=_OBSERVED_WITHIN_S + slow_s,
        gone_within_s=_GONE_WITHIN_S + slow_s,
        measure=_measure(look, before, mechanism),
        **more,
    )


def _measure(look: Look, before: Mapping[str, Any], mechanism: str) -> Callable[[], Mapping[str, Any]]:
    def measured() -> Mapping[str, Any]:
        seen = link_measure.look(look)
        peers = {
            address: {"rtt_before_ms": before.get(address, {}), **figures} for address, figures in seen.peers.items()
        }
        return {"mechanism": mechanism, "asked": look.asked.dump(), "peers": peers}

    return measured
