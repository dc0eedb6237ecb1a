"""Cuts between machines, seen by sockets of the machines themselves."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node, Nodes
from tests.faults.support.talk import background, beats, chatting, connect, datagrams, reaches, served

SSH = 22
SERVICE, OTHER = 7001, 7002
# Begins an SSH session, and goes on with it when told to.
LOGGED_IN = """
import os, socket, sys, time
session = socket.create_connection((sys.argv[1], 22), timeout=9)
session.recv(99)
open('/run/talk-in', 'w').close()
while not os.path.exists('/run/talk-go'):
    time.sleep(0.05)
session.sendall(b'SSH-2.0-test\\r\\n')
open('/run/talk-out', 'wb').write(session.recv(999))
"""


@pytest.fixture
def near(nodes: Nodes) -> Node:
    """The machine on which the fault acts."""
    return nodes["m1"]


@pytest.fixture
def far(nodes: Nodes) -> Node:
    """Its peer."""
    return nodes["m2"]


def test_cut_both_ways_from_one_peer_only(nodes: Nodes, near: Node, far: Node) -> None:
    third = nodes["m3"]
    with near.fault("partition", peers=[far.address]) as result:
        assert far.address in result["evidence"][0]
        assert connect(near, far.address, SSH) == "silent"
        assert connect(far, near.address, SSH) == "silent"
        assert (reaches(near, far), reaches(far, near)) == (False, False)
        assert connect(near, third.address, SSH) == connect(third, near.address, SSH) == "connected"
        assert connect(far, third.address, SSH) == "connected"
        assert connect(near, near.address, SSH) == connect(near, "127.0.0.1", SSH) == "connected"
    assert connect(near, far.address, SSH) == connect(far, near.address, SSH) == "connected"


@pytest.mark.parametrize(("direction", "arrives", "leaves"), [("in", False, True), ("out", True, False)])
def test_one_way(near: Node, far: Node, direction: str, arrives: bool, leaves: bool) -> None:
    """Words go one way only, and who speaks into a dead cable is told nothing."""
    with near.fault("partition", peers=[far.address], direction=direction):
        assert datagrams(far, near, near.address) == ("heard" if arrives else "silent", "nothing")
        assert datagrams(near, far, far.address) == ("heard" if leaves else "silent", "nothing")
        assert connect(near, far.address, SSH) == connect(far, near.address, SSH) == "silent"


@pytest.mark.parametrize(
    ("action", "says"), [("drop", "silent"), ("reject", "ECONNREFUSED"), ("reset", "ECONNREFUSED")]
)
def test_new_connections_end_as_the_action_says(near: Node, far: Node, action: str, says: str) -> None:
    with near.fault("partition", peers=[far.address], action=action):
        assert connect(near, far.address, SSH) == says
        assert connect(far, near.address, SSH) == says


@pytest.mark.parametrize("direction", ["in", "out"])
def test_open_connections_fall_silent_and_go_on(near: Node, far: Node, direction: str) -> None:
    with served(near, SERVICE), chatting(far, near.address, SERVICE) as chat:
        with near.fault("partition", peers=[far.address], direction=direction):
            assert chat.said("silent")
        assert chat.said("echo", within_s=15), chat.heard()


def test_open_connections_wait_when_refused_and_end_when_reset(near: Node, far: Node) -> None:
    """Only a reset tells an open connection; it tells the end that speaks into the cut."""
    alive = f"ss -Htn state established sport = :{SERVICE} | grep -q ."
    with served(near, SERVICE), chatting(far, near.address, SERVICE) as chat:
        with near.fault("partition", peers=[far.address], action="reject"):
            assert chat.said("silent")
            assert near.holds(alive)
        assert chat.said("echo", within_s=15), chat.heard()
        with near.fault("partition", peers=[far.address], action="reset"):
            far.await_holds("grep -qx ECONNRESET /run/talk-chat", within_s=8)
    with (
        served(near, SERVICE),
        chatting(far, near.address, SERVICE) as chat,
        near.fault("partition", peers=[far.address], action="reset", direction="out"),
    ):
        near.await_holds(f"! {alive}", within_s=8)
        assert chat.said("silent")


def test_only_new_connections(near: Node, far: Node) -> None:
    with served(far, SERVICE), chatting(near, far.address, SERVICE) as chat:
        asked = {"peers": [far.address], "protocol": "tcp", "connections": "new"}
        with near.fault("partition", **asked):
            assert connect(near, far.address, SERVICE) == connect(far, near.address, SSH) == "silent"
            assert chat.said("echo")
        with near.fault("partition", **asked, direction="out"):
            assert connect(near, far.address, SERVICE) == "silent"
            assert connect(far, near.address, SSH) == "connected"
            assert chat.said("echo")


def test_only_new_connections_of_a_peer_are_proven_when_it_opens_one(near: Node, far: Node) -> None:
    asked = {"peers": [far.address], "protocol": "tcp", "connections": "new", "direction": "in"}
    with pytest.raises(ModuleFailed, match=r"not observed.*no new connection came in from a peer.*It was undone"):
        near.module("partition", id="idle", ttl=20, observed_within=1, **asked)
    done = threading.Event()

    def keep_trying() -> str:
        while not done.is_set():
            connect(far, near.address, SSH)
        return connect(far, near.address, SSH)

    with ThreadPoolExecutor(max_workers=1) as pool:
        trying = pool.submit(keep_trying)
        try:
            with near.fault("partition", **asked):
                done.set()
                assert trying.result() == "silent"
                assert connect(near, far.address, SSH) == "connected"
        finally:
            done.set()


def test_only_established_connections(near: Node, far: Node) -> None:
    asked = {"peers": [far.address], "protocol": "tcp", "connections": "established"}
    with pytest.raises(ModuleFailed, match="connections = 'established': there is none with"):
        near.module("partition", id="none", ttl=20, **asked)
    with served(far, SERVICE), chatting(near, far.address, SERVICE) as chat:
        with near.fault("partition", **asked):
            assert chat.said("silent")
            assert connect(near, far.address, SERVICE) == connect(far, near.address, SSH) == "connected"
        assert chat.said("echo", within_s=15)
        with near.fault("partition", **asked, direction="in", action="reset"):
            assert connect(near, far.address, SERVICE) == "connected"
            assert not chat.said("echo", within_s=2)


def test_ports_of_either_end(near: Node, far: Node) -> None:
    with served(near, SERVICE, OTHER), served(far, SERVICE, OTHER):

        def reached() -> tuple[str, str, str, str]:
            return (
                connect(near, far.address, SERVICE),
                connect(near, far.address, OTHER),
                connect(far, near.address, SERVICE),
                connect(far, near.address, OTHER),
            )

        yes, no = "connected", "silent"
        for side, wanted in (
            ("theirs", (no, yes, yes, yes)),
            ("ours", (yes, yes, no, yes)),
            ("both", (no, yes, no, yes)),
        ):
            with near.fault("partition", peers=[far.address], ports=[SERVICE], port_side=side):
                assert reached() == wanted, side
        with near.fault("partition", peers=[far.address], ports=[SERVICE, OTHER], port_side="theirs", direction="in"):
            assert reached() == (no, no, yes, yes)


def test_protocols(near: Node, far: Node) -> None:
    with served(far, SERVICE):
        with near.fault("partition", peers=[far.address], protocol="udp"):
            assert connect(near, far.address, SSH) == "connected"
            assert datagrams(near, far, far.address) == ("silent", "nothing")
        with near.fault("partition", peers=[far.address], protocol="tcp"):
            assert connect(near, far.address, SSH) == "silent"
            assert reaches(near, far)


@pytest.mark.parametrize("duty", [0.3, 0.7])
def test_flapping_keeps_its_duty(near: Node, far: Node, duty: float) -> None:
    period, turns = 1.5, 5
    with served(far, SERVICE), near.fault("partition", peers=[far.address], flap={"period": period, "duty": duty}):
        answers = [back for _at, back in beats(near, far.address, SERVICE, for_s=period * turns)]
    lost = answers.count(False) / len(answers)
    changes = sum(one != other for one, other in itertools.pairwise(answers))
    assert duty * 0.8 <= lost <= duty * 1.2, f"{lost:.0%} of the time was cut"
    assert 2 * turns - 2 <= changes <= 2 * turns + 2, f"{changes} changes in {turns} turns"


@contextlib.contextmanager
def orphaned(node: Node, **parameters: Any) -> Iterator[dict[str, Any]]:
    """A fault of which nothing of ours is alive any more that could keep or heal it; gives the module's result."""
    result = node.module("partition", id="orphan", **parameters)
    try:
        # Stopped as soon as they are dead, because the system starts a guardian again.
        node.run(
            "units=$(systemctl list-units --plain --no-legend 'halab-*' | cut -d' ' -f1); [ -n \"$units\" ]; "
            "systemctl kill --signal=KILL $units; systemctl stop $units 2>/dev/null; "
            "! pgrep -f '[a]gent-.*pyz' && test -e /var/lib/halab/ledger/orphan.json"
        )
        yield result
        assert node.holds("test -e /var/lib/halab/ledger/orphan.json"), "somebody of ours healed"
    finally:
        node.module("partition", id="orphan", state="healed")
        # Nobody is left who would take away the mark of a guardian that was killed.
        node.run("rm -f /var/lib/halab/ledger/.orphan.guardian")


def test_the_kernel_ends_it_when_nobody_is_left(near: Node, far: Node) -> None:
    with orphaned(near, ttl=8, peers=[far.address]) as result:
        assert connect(near, far.address, SSH) == "silent"
        _until(lambda: connect(near, far.address, SSH, within_s=0.3) == "connected", within_s=8 + 2)
        # The machines of a lab have the clock of this one.
        late_s = (time.monotonic_ns() - result["expires_at"]["monotonic_ns"]) / 1e9
        assert -1.5 < late_s < 5


def test_the_kernel_ends_a_turn_of_flapping(near: Node, far: Node) -> None:
    with orphaned(near, ttl=60, peers=[far.address], flap={"period": 2, "duty": 0.8}), served(far, SERVICE):
        _until(lambda: connect(near, far.address, SSH, within_s=0.3) == "connected", within_s=3)
        assert all(back for _at, back in beats(near, far.address, SERVICE, for_s=3))


def _until(holds: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not hold within {within_s:g} s"


def test_a_users_own_table_stays_as_it_is(near: Node, far: Node) -> None:
    near.run(
        "nft -f -",
        given="""
        table inet mine {
            counter seen { packets 7 bytes 700 }
            set friends { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 1d } }
            chain watch { type filter hook input priority -400; ip saddr @friends counter name seen accept; }
        }
        table netdev mine {
            chain out { type filter hook egress device "eth0" priority -1; ip daddr 192.0.2.1 drop; }
        }
        """,
    )
    try:
        mine = "for family in inet netdev; do nft -as list table $family mine; done"
        before = near.run(mine)
        with near.fault("partition", peers=[far.address]):
            assert near.run(mine) == before
            assert connect(near, far.address, SSH) == "silent"
        assert near.run(mine) == before
    finally:
        near.run("nft delete table inet mine; nft delete table netdev mine")


@pytest.fixture
def ipv6(near: Node, far: Node) -> Iterator[tuple[str, str]]:
    """Addresses of IPv6 of the two."""
    addresses = ("fd68:616c:6162::1", "fd68:616c:6162::2")
    for node, address in zip((near, far), addresses, strict=True):
        node.run(f"ip -6 address add {address}/64 dev eth0 nodad")
    yield addresses
    for node, address in zip((near, far), addresses, strict=True):
        node.run(f"ip -6 address delete {address}/64 dev eth0")


def test_ipv6(near: Node, far: Node, ipv6: tuple[str, str]) -> None:
    ours, theirs = ipv6
    assert connect(near, theirs, SSH) == connect(far, ours, SSH) == "connected"
    with near.fault("partition", peers=[theirs]):
        assert connect(near, theirs, SSH) == connect(far, ours, SSH) == "silent"
        assert datagrams(near, far, theirs) == ("silent", "nothing")
        assert connect(near, far.address, SSH) == "connected", "IPv4 was not asked for"
    with near.fault("partition", peers=[theirs, far.address], direction="in", action="reset"):
        assert connect(far, ours, SSH) == connect(far, near.address, SSH) == "ECONNREFUSED"
    with (
        served(far, SERVICE),
        chatting(near, theirs, SERVICE) as chat,
        near.fault("partition", peers=[theirs], protocol="tcp", connections="established"),
    ):
        assert chat.said("silent")
        assert connect(near, theirs, SERVICE) == "connected"
    assert connect(near, theirs, SSH) == "connected"


def test_ssh_sessions_go_on_and_new_ones_are_cut(near: Node, far: Node) -> None:
    """An administrator who is logged in from a peer stays logged in."""
    try:
        with background(far, f'python3 -I -c "{LOGGED_IN}" {near.address}'):
            far.await_holds("test -e /run/talk-in", within_s=5)
            with near.fault("partition", peers=[far.address]):
                assert connect(far, near.address, SSH) == "silent"
                far.run("touch /run/talk-go")
                far.await_holds("grep -qa curve25519 /run/talk-out", within_s=5)
    finally:
        far.run("rm -f /run/talk-in /run/talk-go /run/talk-out")


def test_machines_that_cut_each_other_both_prove_it(near: Node, far: Node) -> None:
    for direction in ("in", "both"):
        asked: dict[str, Any] = {"ttl": 30, "direction": direction}
        with (
            near.fault("partition", peers=[far.address], **asked),
            far.fault("partition", peers=[near.address], **asked),
        ):
            assert connect(near, far.address, SSH) == connect(far, near.address, SSH) == "silent"
        assert connect(near, far.address, SSH) == "connected"


def test_cuts_overlap(nodes: Nodes, near: Node, far: Node) -> None:
    """Cuts of one machine from the same peer and from another, healed in either order."""
    third = nodes["m3"]
    cuts = {
        "all": {"peers": [far.address]},
        "same": {"peers": [far.address]},
        "port": {"peers": [far.address, third.address], "ports": [SSH], "protocol": "tcp", "port_side": "theirs"},
    }
    for order in (list(cuts), list(cuts)[::-1]):
        for name, asked in cuts.items():
            near.module("partition", id=name, ttl=60, **asked)
        for name in order:
            assert connect(near, far.address, SSH) == "silent"
            near.module("partition", id=name, state="healed")
        assert connect(near, far.address, SSH) == connect(near, third.address, SSH) == "connected"


def test_refused_with_nothing_changed(near: Node, far: Node) -> None:
    controller = near.run("echo $SSH_CONNECTION").split()[0]
    before = near.snapshot()
    for peers, says in (
        ([controller], "the target is the controller"),
        ([near.address], "is an address of this machine itself"),
        (["127.0.0.1"], "is an address of this machine itself"),
        (["no-such-machine.invalid"], "is not an address, and this machine cannot resolve it"),
        (["224.0.0.1"], "is not the address of one machine"),
        (["fd00::99"], "has no route"),
    ):
        with pytest.raises(ModuleFailed, match=f"peers = '{peers[0]}'.*{says}.*Nothing was changed"):
            near.module("partition", id="refused", ttl=20, peers=[far.address, *peers])
    assert near.entries() == []
    assert near.await_equal(before) == ""


def test_nobody_there_is_not_observed(near: Node) -> None:
    nobody = near.address.rpartition(".")[0] + ".199"
    with pytest.raises(ModuleFailed, match=r"not observed within 1 s: none of .*\.199 answers.*It was undone"):
        near.module("partition", id="nobody", ttl=20, peers=[nobody], observed_within=1)
    assert near.entries() == []


def test_a_shared_address_may_be_our_own(near: Node, far: Node) -> None:
    with near.fault("partition", peers=[far.address], shared=[near.address]):
        assert connect(near, near.address, SSH) == "connected"
        assert connect(near, far.address, SSH) == "silent"


def test_split_around_one_machine(nodes: Nodes) -> None:
    """The playbook: m2 is the minority of three; m1 and m3 still hear each other."""
    cut = {("m1", "m2"), ("m2", "m1"), ("m2", "m3"), ("m3", "m2")}
    for node in nodes:
        node.remember()
    with ThreadPoolExecutor(max_workers=1) as pool:
        options = ("-e", "fault_group=etcd", "-e", "fault_target=m2", "-e", "fault_hold=12")
        playing = pool.submit(nodes.lab.play, "faults/split", *options)
        for node in nodes:
            node.await_holds("ls /var/lib/halab/ledger/*.json && nft list tables | grep halab_", within_s=30)
        _until(lambda: connect(nodes["m1"], nodes["m2"].address, SSH) == "silent", within_s=5)
        for one, other in itertools.permutations(("m1", "m2", "m3"), 2):
            reached = connect(nodes[one], nodes[other].address, SSH)
            assert reached == ("silent" if (one, other) in cut else "connected"), (one, other)
        assert "failed=0" in playing.result()


def test_partition_by_names_of_the_inventory(nodes: Nodes, near: Node, far: Node) -> None:
    """The playbook: m1 no longer reaches what stands at the ports of the DCS on the others, and all else it does."""
    near.remember()
    with served(far, 2379, OTHER), ThreadPoolExecutor(max_workers=1) as pool:
        options = ("-e", "fault_target=m1", "-e", "fault_peers=etcd", "-e", "fault_ports=dcs", "-e", "fault_hold=8")
        playing = pool.submit(nodes.lab.play, "faults/partition", *options)
        _until(lambda: connect(near, far.address, 2379) == "silent", within_s=30)
        assert connect(near, far.address, OTHER) == connect(near, far.address, SSH) == "connected"
        assert "failed=0" in playing.result()
        assert connect(near, far.address, 2379) == "connected"
    with pytest.raises(AssertionError, match="peers = ''nobody'': is no host or group"):
        nodes.lab.play("faults/partition", "-e", "fault_target=m1", "-e", "fault_peers=nobody")
