"""Cuts as data: what is refused, what the rules say, and when a cut counts as proven."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils import net, nft, packets, partition_probe, partition_rules
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.partition import describe, plan_of
from ansible_collections.halab.faults.plugins.module_utils.partition_agent import unproven
from ansible_collections.halab.faults.plugins.module_utils.partition_cut import Cut

Parameters = Callable[..., dict[str, Any]]
PEERS = ("192.0.2.12", "2001:db8::12")
CUT = Cut(program="nft", table="halab_test", peers=PEERS)


@pytest.fixture
def parameters(tmp_path: Path) -> Parameters:
    """Parameters of the module, as Ansible would pass them."""

    def build(**changes: Any) -> dict[str, Any]:
        return {
            "state": "injected",
            "id": "drill-1",
            "ttl": 60,
            "ledger_dir": str(tmp_path / "ledger"),
            "cluster": "lab",
            "run": "",
            "peers": ["192.0.2.12"],
            "shared": [],
            "ports": [],
            "port_side": "both",
            "protocol": "all",
            "direction": "both",
            "connections": "all",
            "action": "drop",
            "flap": None,
            "observed_within": 10,
            **changes,
        }

    return build


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"peers": []}, "peers = a list of 0: give 1 to 500"),
        ({"peers": ["192.0.2.1"] * 501}, "peers = a list of 501"),
        ({"peers": ["no-such-host.invalid"]}, "peers = 'no-such-host.invalid': is not an address"),
        ({"peers": [""]}, "peers = '': is not an address"),
        ({"peers": ["a" * 64 + ".invalid"]}, "is not an address"),
        ({"peers": ["192.0.2.12", "127.0.0.1"]}, "peers = '127.0.0.1': is an address of this machine itself"),
        ({"peers": ["::1"]}, "is an address of this machine itself"),
        ({"peers": ["::ffff:127.0.0.1"]}, "is an address of this machine itself"),
        ({"peers": ["224.0.0.18"]}, "is not the address of one machine"),
        ({"peers": ["255.255.255.255"]}, "is not the address of one machine"),
        ({"peers": ["ff02::1"]}, "is not the address of one machine"),
        ({"shared": ["no-such-host.invalid"]}, "shared = 'no-such-host.invalid': is not an address"),
        ({"ports": [0]}, "ports = 0: is not a port"),
        ({"ports": [5432, 65536]}, "ports = 65536: is not a port"),
        ({"connections": "new"}, "connections = 'new': only TCP has connections, and protocol is 'all'"),
        ({"connections": "established", "protocol": "udp"}, "only TCP has connections"),
        ({"action": "reset", "protocol": "udp"}, "action = 'reset': only TCP can be reset"),
        ({"flap": {"period": 4.0, "duty": 0.0}}, r"flap.duty = 0: is not between 0 and 1"),
        ({"flap": {"period": 4.0, "duty": 1.0}}, r"flap.duty = 1"),
        ({"flap": {"period": 4.0, "duty": -0.5}}, r"flap.duty = -0.5"),
        ({"flap": {"period": 0.0, "duty": 0.5}}, r"flap.period = 0: is not a number of seconds between 0 and ttl"),
        ({"flap": {"period": 60.0, "duty": 0.5}}, r"flap.period = 60"),
        ({"flap": {"period": float("nan"), "duty": 0.5}}, r"flap.period = nan"),
        ({"flap": {"period": 1.0, "duty": 0.9}}, r"flap = 1 s with duty 0.9: cut or whole for less than 0.2 s"),
        ({"observed_within": 0}, "observed_within = 0"),
        ({"observed_within": 301}, "observed_within = 301"),
    ],
)
def test_refused_before_anything_changes(parameters: Parameters, tmp_path: Path, changes: Any, says: str) -> None:
    with pytest.raises(FaultError, match=rf"{says}.*Nothing was changed"):
        plan_of(parameters(**changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("peer", ["192.0.2.77", "2001:db8::77"])
def test_the_controller_is_refused(parameters: Parameters, monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    monkeypatch.setenv("SSH_CONNECTION", f"{peer} 40000 192.0.2.1 2222")
    with pytest.raises(FaultError, match=f"peers = '{peer}': the target is the controller"):
        plan_of(parameters(peers=[peer]))
    with pytest.raises(FaultError, match=f"shared = '{peer}': the target is the controller"):
        plan_of(parameters(shared=[peer]))
    assert net.ssh_ports() >= {22, 2222}


def test_the_controller_is_found_where_sudo_has_cleared_the_environment() -> None:
    """The way of Ansible's become: a child with an empty environment, of a parent that came by SSH."""
    root = Path(__file__).resolve().parents[3]
    script = (
        f"import sys; sys.path.insert(0, {str(root / 'collections')!r})\n"
        "from ansible_collections.halab.faults.plugins.module_utils import net\n"
        "print(sorted(net.controllers()))"
    )
    python = shutil.which("python3") or "python3"
    done = subprocess.run(
        ["sh", "-c", 'env -i "$@"; true', "sh", python, "-c", script],
        env={**os.environ, "SSH_CONNECTION": "::ffff:192.0.2.77 40000 192.0.2.1 22"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "192.0.2.77" in done.stdout


PROC_NET_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0BDAD50A:0016 01DAD50A:AD34 01 00000000:00000000 02:0009C1C8 00000000     0        0 2 2 0 20 4 30 10 -1
"""
PROC_NET_TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 0000000000000000FFFF00000BDAD50A:0016 0000000000000000FFFF000001DAD50A:AD34 01 00000000:00000000 0 0
   1: B80D01200000000000000000010000:00 B80D0120000000000000000002000000:1538 06 0 0
   2: B80D0120000000000000000001000000:1538 B80D0120000000000000000002000000:A001 01 0 0
"""


@pytest.mark.skipif(socket.htons(1) == 1, reason="the text is as a little-endian machine prints it")
def test_connections_as_the_kernel_prints_them() -> None:
    ssh = net.Connection("10.213.218.11", 22, "10.213.218.1", 44340)
    assert net.parse_connections(PROC_NET_TCP) == [ssh]
    lines = PROC_NET_TCP6.splitlines(keepends=True)
    assert net.parse_connections("".join((*lines[:2], lines[3]))) == [
        ssh,
        net.Connection("2001:db8::1", 5432, "2001:db8::2", 40961),
    ]


def test_connections_of_this_process_are_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        ours, theirs = one.getsockname(), one.getpeername()
        assert net.Connection(ours[0], ours[1], theirs[0], theirs[1]) in net.connections()


def test_a_table_is_named_by_ledger_and_id() -> None:
    names = {nft.table_name(directory, entry) for directory in ("/a", "/b") for entry in ("x", "y")}
    assert len(names) == 4
    assert all(name.startswith("halab_") and name[6:].isalnum() for name in names)
    assert nft.table_name("/a", "x") == nft.table_name("/a", "x")


ADDRESSES = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(lambda address: net.plain(str(address)))
PORTS = st.integers(1, 65535)


@given(
    peers=st.lists(ADDRESSES, min_size=1, max_size=4, unique=True),
    ports=st.lists(PORTS, max_size=3),
    existing=st.lists(st.tuples(ADDRESSES, PORTS, PORTS), max_size=3),
)
def test_a_cut_survives_the_command_line(peers: list[str], ports: list[int], existing: list[Any]) -> None:
    cut = replace(CUT, peers=tuple(peers), ports=tuple(ports), existing=tuple(existing), deadline_ns=2**60)
    assert Cut.load(cut.dump()) == cut


def combinations() -> list[Cut]:
    """Every way to cut that can be asked for, with both families."""
    found = []
    for direction in ("in", "out", "both"):
        for action in ("drop", "reject", "reset"):
            for connections, protocols in (
                ("all", ("tcp", "udp", "all")),
                ("new", ("tcp",)),
                ("established", ("tcp",)),
            ):
                for protocol in protocols:
                    for ports, sides in (((), ("both",)), ((5432, 8008), ("theirs", "ours", "both"))):
                        for side in sides:
                            if (action, protocol) == ("reset", "udp"):
                                continue
                            existing = (
                                tuple((peer, 5432, 40000) for peer in PEERS) if connections == "established" else ()
                            )
                            found.append(
                                replace(
                                    CUT, direction=direction, action=action, connections=connections, protocol=protocol,
                                    ports=ports, port_side=side, existing=existing, shared=("192.0.2.250",),
                                )
                            )  # fmt: skip
    return found


KEPT = [net.Connection("192.0.2.11", 22, "192.0.2.12", 40000), net.Connection("2001:db8::11", 22, "2001:db8::12", 1)]


def statements(cut: Cut, **changes: Any) -> list[str]:
    asked: dict[str, Any] = {
        "kept": KEPT,
        "devices": {"lo": "00:00:00:00:00:00"},
        "rank": 0,
        "comment": "test",
        **changes,
    }
    return [*partition_rules.statements(cut, **asked), *cut.acting(1500)]


def test_every_combination_is_accepted_by_the_kernel() -> None:
    """In one transaction after another that the kernel judges and forgets, in a network of its own."""
    missing = [name for name in ("nft", "unshare") if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    prefix = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*prefix, "nft", "list", "tables"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a network namespace and to use nftables in it")
    for cut in combinations():
        for devices in ({}, {"lo": "00:00:00:00:00:00"}):
            argv = nft.transaction("nft", statements(cut, devices=devices, rank=200), check=True)
            done = subprocess.run([*prefix, *argv], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{describe(cut)}: {done.stderr}"


def test_nothing_is_cut_but_by_sets_that_expire() -> None:
    """Every verdict that cuts depends on a set with timeouts, and every member of these sets has one."""
    for cut in combinations():
        found = statements(cut)
        sets = [words.split()[4] for words in found if words.startswith("add set") and "flags timeout" in words]
        assert sets == [f"{name}{family}" for family in (4, 6) for name in cut.sets]
        cutting = [words for words in found if words.startswith("add rule") and words.endswith(VERDICTS)]
        assert cutting
        assert all(any(f"@{name} " in words for name in sets) or " lost drop" in words for words in cutting)
        members = [words for words in found if words.startswith("add element") and words.split()[4] in sets]
        assert len(members) == len(sets)
        assert all(words.count(" timeout 1500ms") == len(words.split(", ")) for words in members)


VERDICTS = (" drop", "port-unreachable", "tcp reset", "jump lost")


def test_ssh_and_the_own_machine_come_first() -> None:
    for cut in combinations():
        found = statements(cut)
        for chain, way, address in (("arriving", "iifname", "saddr"), ("leaving", "oifname", "daddr")):
            rules = [
                words.split(f" {chain} ", 1)[1] for words in found if f" {chain} " in words and "add rule" in words
            ]
            assert bool(rules) == (chain == "arriving" or cut.outwards)
            if rules:
                assert rules[0] == f'{way} "lo" accept'
                assert rules[1].startswith(f"ip {address} . ") and rules[1].endswith("@ssh4 accept")
                assert rules[2].startswith(f"ip6 {address} . ") and rules[2].endswith("@ssh6 accept")


def test_undo_removes_what_was_made() -> None:
    out = replace(CUT, direction="out")
    assert partition_rules.families(out, {"eth0": "x"}) == ("inet", "netdev")
    assert partition_rules.families(out, {}) == partition_rules.families(replace(CUT, direction="in"), {}) == ("inet",)
    assert nft.removal("nft", "halab_x", ("inet", "netdev"))[-1] == (
        "add table inet halab_x; delete table inet halab_x; add table netdev halab_x; delete table netdev halab_x"
    )


def table(**counted: dict[str, int]) -> nft.Table:
    return nft.Table({f"{name}{half}": {} for name in ("in", "out", "heard") for half in "46"} | counted)


ONE, SIX = PEERS
BOTH = {"in4": {ONE: 1}, "in6": {SIX: 1}, "out4": {ONE: 1}, "out6": {SIX: 1}}


@pytest.mark.parametrize(
    ("changes", "counted", "missing"),
    [
        ({}, {**BOTH, "heard4": {ONE: 1}}, []),
        ({}, BOTH, []),
        ({}, {**BOTH, "out6": {SIX: 0}}, [f"no packet to {SIX} was cut"]),
        ({}, {**BOTH, "in6": {SIX: 0}, "heard6": {SIX: 3}}, [f"no packet from {SIX} was cut"]),
        # A peer that is down can be cut from; only not every one.
        ({}, {**BOTH, "in6": {SIX: 0}, "heard6": {SIX: 0}}, []),
        ({}, {**BOTH, "in4": {ONE: 0}, "in6": {SIX: 0}}, ["none of 192.0.2.12, 2001:db8::12 answers"]),
        ({"direction": "out"}, {"out4": {ONE: 1}, "out6": {SIX: 1}, "heard4": {ONE: 1}}, []),
        ({"direction": "out"}, {"out4": {ONE: 1}, "out6": {SIX: 1}}, ["none of"]),
        ({"direction": "in"}, {"in4": {ONE: 2}, "in6": {SIX: 0}, "heard4": {ONE: 2}}, []),
        ({"direction": "in"}, {"in4": {ONE: 0}, "in6": {SIX: 0}, "heard4": {ONE: 2}}, [f"no packet from {ONE}"]),
        ({"direction": "in", "connections": "new"}, {"in4": {ONE: 0}, "heard4": {ONE: 2}}, ["no new connection"]),
        ({"direction": "in", "connections": "new"}, {"in4": {ONE: 1}, "heard4": {ONE: 2}}, []),
        ({"direction": "in", "protocol": "udp"}, {"in4": {ONE: 0}, "heard4": {ONE: 2}}, ["no packet came in"]),
        ({"connections": "new"}, {**BOTH, "in4": {ONE: 0}, "in6": {SIX: 0}, "heard4": {ONE: 2}}, []),
        (
            {"direction": "both", "connections": "established"},
            {"in4": {f"{ONE} . 5432 . 40000": 4}, "out4": {f"{ONE} . 5432 . 40000": 1}},
            [],
        ),
        (
            {"direction": "in", "connections": "established"},
            {"in4": {f"{ONE} . 5432 . 40000": 0}, "heard4": {ONE: 1}},
            ["no packet of an existing connection"],
        ),
    ],
)
def test_when_a_cut_is_proven(changes: Any, counted: dict[str, dict[str, int]], missing: list[str]) -> None:
    found = unproven(replace(CUT, **changes), table(**counted))
    assert len(found) == len(missing), found
    assert all(words.startswith(start) for words, start in zip(found, missing, strict=True)), found


def test_a_listing_of_nft_is_read() -> None:
    listed = {
        "name": "in4",
        "elem": [
            {"elem": {"val": "192.0.2.12", "timeout": 5, "expires": 4, "counter": {"packets": 3, "bytes": 180}}},
            {"elem": {"val": {"concat": ["192.0.2.13", 5432, 40000]}, "counter": {"packets": 1, "bytes": 60}}},
            "192.0.2.14",
        ],
    }
    packets = nft._packets(listed)
    assert packets == {"192.0.2.12": 3, "192.0.2.13 . 5432 . 40000": 1, "192.0.2.14": 0}
    found = nft.Table({"in4": packets, "in6": {"2001:db8::1": 2}})
    assert found.counted("in") == {"192.0.2.12": 3, "192.0.2.13": 1, "192.0.2.14": 0, "2001:db8::1": 2}


def test_nft_that_fails_is_named(tmp_path: Path) -> None:
    program = tmp_path / "nft"
    program.write_text("#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(nft.NftError, match="`nft list tables` failed with code 1: Operation not permitted"):
        nft.tables(str(program))
    program.write_text(
        "#!/bin/sh\necho '"
        + json.dumps({"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "other"}}]})
        + "'\n"
    )
    assert nft.tables(str(program)) == []
    assert nft.read(str(program), "halab_x") is None


def test_attempts_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        open_end, closed_end = server.getsockname(), closed.getsockname()
        began = time.monotonic()
        found = partition_probe.connected([open_end, closed_end], within_s=5)
        assert time.monotonic() - began < 4
    assert found == {open_end: "connected", closed_end: "Connection refused"}


@pytest.mark.parametrize(
    ("data", "checksum"),
    # The example of RFC 1071, 3; and its end with an odd byte.
    [(bytes.fromhex("0001f203f4f5f6f7"), 0x220D), (bytes.fromhex("0001f203f4f5f6"), 0x2304), (b"", 0xFFFF)],
)
def test_checksum(data: bytes, checksum: int) -> None:
    assert packets.checksum(data) == checksum
