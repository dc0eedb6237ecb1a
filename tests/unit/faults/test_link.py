"""An impaired link as data: what is refused, what the kernel is told, and what the queue client decides."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils import (
    link_check,
    link_measure,
    link_netem,
    link_netlink,
    link_plan,
)
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.link_packets import Target
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment
from ansible_collections.halab.faults.plugins.module_utils.link_steer import Traffic

RunModule = Callable[[str, str], "subprocess.CompletedProcess[str]"]
FIGURES = ("delay_ms", "jitter_ms", "loss", "burst", "duplicate", "corrupt", "reorder", "rate_kbit")
TRAFFIC = Traffic(peers=("192.0.2.12", "192.0.2.13"), ports=(), directions=("in",), spared=())


def parameters(**changes: Any) -> dict[str, Any]:
    return {**dict.fromkeys(FIGURES, 0.0), "ports": [], **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "all are 0"),
        ({"delay_ms": -5}, "delay_ms = -5: is negative"),
        ({"delay_ms": 0.5}, "delay_ms = 0.5: cannot be told from none"),
        ({"delay_ms": 20_000}, "delay_ms = 20000: is longer than 10000"),
        ({"delay_ms": 5, "jitter_ms": 6}, "jitter_ms = 6: is more than delay_ms"),
        ({"delay_ms": 5, "jitter_ms": -1}, "jitter_ms = -1: is negative"),
        ({"loss": 120}, "loss = 120: is more than 100 %"),
        ({"loss": 0.01}, "loss = 0.01: is too rare"),
        ({"loss": -1}, "loss = -1: is negative"),
        ({"duplicate": 101}, "duplicate = 101: is more than 100 %"),
        ({"corrupt": 100.5}, "corrupt = 100.5: is more than 100 %"),
        ({"reorder": 10}, "reorder = 10: needs delay_ms"),
        ({"reorder": 100, "delay_ms": 5}, "reorder = 100: when every packet overtakes"),
        ({"burst": 4}, "burst = 4: is the length of losses, and loss is 0"),
        ({"burst": 0.5, "loss": 5}, "burst = 0.5: is less than one packet"),
        ({"burst": 4, "loss": 90}, "loss = 90: bursts of 4 packets"),
        ({"rate_kbit": 8}, "rate_kbit = 8: is too small"),
        ({"rate_kbit": 1e6}, "rate_kbit = 1e+06: is more than 100000"),
        ({"rate_kbit": 8000, "ports": [5432]}, "rate_kbit = 8000: is more than 4000"),
    ],
)
def test_figures_that_cannot_be_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(FaultError, match="Nothing was changed") as error:
        link_check.impairment(parameters(**changes))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("peer", "says"),
    [
        ("pg2", "peers = 'pg2': is not an address"),
        ("127.0.0.1", "is not the address of another machine"),
        ("0.0.0.0", "is not the address of another machine"),  # noqa: S104 (nothing listens there)
        ("224.0.0.18", "is not the address of another machine"),
        ("2001:db8::1", "is an IPv6 address"),
        ("192.0.2.99", "is the controller"),
    ],
)
def test_peers_that_must_not_be_impaired_are_refused(peer: str, says: str) -> None:
    with pytest.raises(FaultError) as error:
        link_check.addresses("peers", [peer], ["192.0.2.99"])
    assert says in str(error.value)


def test_the_own_address_is_no_peer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("needs a route to another network, to learn an address of this machine")
        own = probe.getsockname()[0]
    with pytest.raises(FaultError, match="is this machine itself"):
        link_check.addresses("peers", [own], [])


def test_whoever_is_spared_has_an_ipv4_address() -> None:
    assert link_check.spared(["192.0.2.98"], ["192.0.2.99", "2001:db8::9"]) == ("192.0.2.98", "192.0.2.99")
    with pytest.raises(FaultError, match="spare = 'pg2': is not an address"):
        link_check.spared(["pg2"], [])


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_out_of_range_are_refused(port: int) -> None:
    with pytest.raises(FaultError, match=f"ports = {port}: is not a port"):
        link_check.ports([22, port])


def test_what_cannot_be_proven_in_time_is_refused() -> None:
    targets = (Target("192.0.2.12"),)
    slow = link_measure.Look(targets=targets, asked=Impairment(loss=0.1, rate_kbit=64), directions=("in",))
    assert "12000 probes would be needed" in slow.impossible
    fast = link_measure.Look(targets=targets, asked=Impairment(loss=1, rate_kbit=2000), directions=("in",))
    assert not fast.impossible


def test_netem_says_what_was_asked_for() -> None:
    asked = Impairment(delay_ms=25, jitter_ms=5, duplicate=1, corrupt=2, reorder=10)
    words = "netem limit 65536 delay 25ms 5ms duplicate 1% corrupt 2% reorder 10%"
    assert link_netem.netem(asked) == tuple(words.split())
    assert link_netem.netem(Impairment(loss=3)) == ("netem", "limit", "65536", "loss", "3%")
    # The chances of a bad and of a good turn: 1/4 out of a burst of 4, and 5/95 of that into one.
    words = "netem limit 65536 loss gemodel 1.31579% 25%"
    assert link_netem.netem(Impairment(loss=5, burst=4)) == tuple(words.split())
    assert link_netem.netem(Impairment(rate_kbit=1000)) == ("netem", "limit", "41", "rate", "1000kbit")


def tree(traffic: Traffic) -> list[str]:
    made = link_netem.Tree(
        device="eth0", ifb="hifb1", major="7a31", traffic=traffic, impairment=Impairment(delay_ms=20)
    )
    return [" ".join(argv) for argv in made.commands()]


def test_netem_leaves_other_traffic_alone() -> None:
    filters = "tc filter add dev eth0 parent 7a31: protocol ip prio"
    assert tree(Traffic(peers=("192.0.2.12",), ports=(), directions=("out",), spared=())) == [
        "tc qdisc add dev eth0 root handle 7a31: htb",
        "tc class add dev eth0 parent 7a31: classid 7a31:1 htb rate 10gbit",
        "tc qdisc add dev eth0 parent 7a31:1 netem limit 65536 delay 20ms",
        f"{filters} 2 u32 match ip dst 192.0.2.12/32 flowid 7a31:1",
    ]
    everybody = tree(Traffic(peers=(), ports=(), directions=("out",), spared=("192.0.2.99",)))
    assert f"{filters} 1 u32 match ip dst 192.0.2.99/32 flowid 7a31:0" in everybody
    assert everybody[-1] == f"{filters} 2 u32 match u32 0 0 flowid 7a31:1"


def test_netem_meets_incoming_packets_behind_a_device_of_its_own() -> None:
    said = tree(Traffic(peers=("192.0.2.12",), ports=(5432,), directions=("in",), spared=()))
    assert said[:3] == [
        "ip link add hifb1 type ifb",
        "ip link set hifb1 up",
        "tc qdisc add dev hifb1 root handle 7a31: htb",
    ]
    ports = [line for line in said if "sport 5432" in line or "dport 5432" in line]
    assert len(ports) == 4 and all("match ip src 192.0.2.12/32" in line for line in ports)
    assert said[-2] == "tc qdisc add dev eth0 handle ffff: ingress"
    assert said[-1].endswith("action mirred egress redirect dev hifb1")


def test_each_peer_has_a_netem_of_its_own() -> None:
    said = tree(Traffic(peers=("192.0.2.12", "192.0.2.13"), ports=(), directions=("out",), spared=()))
    assert sum(" netem " in line for line in said) == 2
    assert said[-1].endswith("match ip dst 192.0.2.13/32 flowid 7a31:2")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": 120}, "loss = 120"),
        ({"delay_ms": 20, "ttl": -3}, "ttl = -3"),
        ({"delay_ms": 20, "peers": ["127.0.0.1"]}, "peers = 127.0.0.1"),
        ({"delay_ms": 20, "direction": "sideways"}, "direction"),
        ({"delay_ms": 20, "probe_port": 0}, "probe_port = 0: is not a port"),
        ({"delay_ms": 20, "peers": [], "spare": ["m9"]}, "spare = 'm9'"),
        ({"delay_ms": 20, "peers": [], "probe": ["m9"]}, "probe = 'm9'"),
        ({"delay_ms": 20, "mechanism": "toxiproxy"}, "mechanism"),
        ({"delay_ms": 20, "id": "a/b"}, "id = 'a/b'"),
    ],
)
def test_the_module_leaves_nothing_in_the_ledger(
    run_module: RunModule, ledger_dir: Path, changes: dict[str, Any], says: str
) -> None:
    given = {"id": "drill-1", "ttl": 60, "ledger_dir": str(ledger_dir), "peers": ["192.0.2.12"], **changes}
    done = run_module("link", json.dumps(given))
    assert done.returncode != 0 and says in done.stdout + done.stderr
    assert not Ledger(ledger_dir).contents().entries


def test_netem_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def reason(**asked: float) -> str:
        return link_plan.reason_against_netem(TRAFFIC, Impairment(**asked))

    monkeypatch.setattr(link_netlink, "knows_qdisc", lambda kind: kind != "netem")
    assert reason(delay_ms=20) == "this kernel has no queueing discipline netem, and no module for it"
    monkeypatch.setattr(link_netlink, "knows_qdisc", lambda _kind: True)
    monkeypatch.setattr(link_plan, "devices_of", lambda _traffic: ("eth0", "eth1"))
    assert "uses 2 devices (eth0, eth1)" in reason(delay_ms=20)
    monkeypatch.setattr(link_plan, "devices_of", lambda _traffic: ("eth0",))
    monkeypatch.setattr(link_netem, "has_ingress", lambda _device: True)
    monkeypatch.setattr(link_netem, "root_handle", lambda _device: "0:")
    assert "ingress queueing discipline of its own" in reason(delay_ms=20)
    monkeypatch.setattr(link_netem, "has_ingress", lambda _device: False)
    assert not reason(delay_ms=20)
    assert "beside those of other peers" in reason(duplicate=1)
