"""What leads packets to the queue client, and what the client decides about each."""

from __future__ import annotations

import json
import random
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from ansible_collections.halab.faults.plugins.module_utils import link_measure, link_netlink, link_steer
from ansible_collections.halab.faults.plugins.module_utils.link_packets import Probes, Target, same
from ansible_collections.halab.faults.plugins.module_utils.link_queue import Client, parsed, run
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment, Shaper
from ansible_collections.halab.faults.plugins.module_utils.link_steer import Steering, Traffic
from ansible_collections.halab.faults.plugins.module_utils.packets import checksum

PEER = Target("192.0.2.12")
TRAFFIC = Traffic(peers=("192.0.2.12", "192.0.2.13"), ports=(), directions=("in",), spared=())


def steering(traffic: Traffic, *, native: bool = True) -> Steering:
    queues = {way: 4000 + number for number, way in enumerate(traffic.directions)}
    return Steering(table="halab_link_test", traffic=traffic, queues=queues, native=native)


@pytest.mark.parametrize(
    "traffic",
    [
        TRAFFIC,
        Traffic(peers=("192.0.2.12",), ports=(5432, 8008), directions=("in", "out"), spared=()),
        Traffic(peers=(), ports=(), directions=("in", "out"), spared=("192.0.2.99", "192.0.2.98")),
    ],
)
def test_nft_understands_the_table(traffic: Traffic) -> None:
    nft = shutil.which("nft")
    if not nft:
        pytest.skip("needs the program nft")
    text = steering(traffic, native=False).text(ttl_s=60)
    done = subprocess.run([nft, "--check", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("needs root: nft may not look at the ruleset")
    assert done.returncode == 0, done.stderr


def test_the_table_ends_by_itself_and_spares_loopback_and_controller() -> None:
    lines = (
        steering(Traffic(peers=(), ports=(), directions=("in",), spared=("192.0.2.99",))).text(ttl_s=60).splitlines()
    )
    lines = [line.strip() for line in lines]
    assert "elements = { 0.0.0.0/0 timeout 60s }" in lines
    jump = lines.index("ip saddr @peers jump in_queued")
    assert lines.index("iif lo accept") < lines.index("ip saddr @spared accept") < jump
    assert "queue flags bypass to 4000" in lines


def test_what_is_sent_to_the_agent_comes_back_the_same() -> None:
    made = steering(TRAFFIC, native=False)
    assert Steering.load(json.loads(json.dumps(made.dump()))) == made
    look = link_measure.Look(
        targets=(Target("192.0.2.12", 22),), asked=Impairment(loss=5, burst=4), directions=("in", "out")
    )
    assert link_measure.Look.load(json.loads(json.dumps(look.dump()))) == look


def test_faults_take_different_free_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    first = link_steer.free_queues("/ledger", "a", ("in", "out"))
    assert first["in"] != first["out"]
    assert first == link_steer.free_queues("/ledger", "a", ("in", "out")), "the ledger of a retry names the same"
    monkeypatch.setattr(link_steer, "taken", lambda: set(first.values()))
    assert not set(link_steer.free_queues("/ledger", "a", ("in", "out")).values()) & set(first.values())


def test_probes_are_known_by_either_of_two_numbers() -> None:
    probes = Probes(nonce=0x1234, first_port=20_000, count=100)
    echo = bytearray(probes.packet(7, PEER, "192.0.2.1"))
    assert checksum(bytes(echo)) == 0
    assert probes.number(socket.IPPROTO_ICMP, bytes(echo), answer=True) == 7
    echo[6] ^= 0x40
    assert probes.number(socket.IPPROTO_ICMP, bytes(echo), answer=True) == 7
    syn = probes.packet(7, Target("192.0.2.12", 22), "192.0.2.1")
    pseudo = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.12") + struct.pack(">BBH", 0, 6, 20)
    assert checksum(pseudo + syn) == 0 and syn[13] == 0x02
    assert probes.number(socket.IPPROTO_TCP, syn, answer=False) == 7
    reset = syn[:13] + b"\x04" + syn[14:]
    assert probes.number(socket.IPPROTO_TCP, reset, answer=False) is None
    assert same(socket.IPPROTO_TCP, syn, syn[:16] + b"xx" + syn[18:])
    assert not same(socket.IPPROTO_ICMP, syn, syn[:16] + b"xx" + syn[18:])


def queued(number: int, *, hook: int = link_netlink.HOOK_IN, protocol: int = 17, payload: bytes = b"data") -> bytes:
    """A packet as the kernel hands it over."""
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, *(b"\xc0\0\2\x0c", b"\xc0\0\2\1")
    )
    body = link_netlink.attribute(1, struct.pack(">IHB", number, 0x0800, hook))
    body += link_netlink.attribute(10, head + payload)
    return link_netlink.message(link_netlink.QUEUE_PACKET, 0, struct.pack(">BBH", 2, 0, 4000) + body)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end of a queue and the kernel's."""
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    kernels.setblocking(False)
    with ours, kernels:
        yield ours, kernels


def verdicts(kernels: socket.socket) -> list[tuple[int, int]]:
    """Decision and packet of each verdict, in order."""
    found = []
    while True:
        try:
            data = kernels.recv(65536)
        except BlockingIOError:
            return found
        while data:
            length = struct.unpack_from("=I", data)[0]
            found.append(struct.unpack_from(">II", data, 24))
            data = data[length:]


def client(link: socket.socket, copies: list[bytes], **asked: float) -> Client:
    source = random.Random(7)  # noqa: S311 (the same in every run is what is wanted)
    return Client(4000, Shaper(Impairment(**asked), source), link, copies.append)


def test_a_packet_of_the_queue_is_understood() -> None:
    held = parsed(queued(9, payload=b"12345"))
    assert held is not None
    assert (held.number, held.hook, held.length, held.header) == (9, link_netlink.HOOK_IN, 25, 20)
    assert socket.inet_ntoa(held.peer) == "192.0.2.12"
    assert parsed(link_netlink.message(2, 0, b"\0" * 20)) is None


def test_packets_are_held_for_their_time_and_let_go_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, kernels = ends
    holder = client(ours, [], delay_ms=20)
    for number in range(3):
        kernels.send(queued(number))
    began = time.monotonic_ns()
    holder.take()
    holder.let_go(began)
    assert not verdicts(kernels)
    assert holder.next_due_ns is not None and holder.next_due_ns >= began + 20_000_000
    holder.let_go(began + 1_000_000_000)
    assert verdicts(kernels) == [(link_netlink.ACCEPT, number) for number in range(3)]


def test_losses_are_dropped_and_damage_keeps_the_header(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, kernels = ends
    kernels.send(queued(1))
    client(ours, [], loss=100).take()
    assert verdicts(kernels) == [(link_netlink.DROP, 1)]
    kernels.send(queued(2))
    holder = client(ours, [], corrupt=100)
    holder.take()
    holder.let_go(None)
    original = parsed(queued(2))
    message = kernels.recv(65536)
    assert original is not None and struct.unpack_from(">II", message, 24) == (link_netlink.ACCEPT, 2)
    sent = message[36 : 36 + original.length]
    assert sent[:20] == original.data[:20] and sent != original.data


def test_a_duplicate_is_sent_beside_the_packet(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, kernels = ends
    copies: list[bytes] = []
    holder = client(ours, copies, duplicate=100)
    kernels.send(queued(5))
    holder.take()
    holder.let_go(None)
    original = parsed(queued(5))
    assert original is not None and copies == [original.data]
    assert verdicts(kernels) == [(link_netlink.ACCEPT, 5)]


def test_outgoing_tcp_waits_as_a_copy(ends: tuple[socket.socket, socket.socket]) -> None:
    """Else TCP would send no more than it may keep on this machine."""
    ours, kernels = ends
    copies: list[bytes] = []
    holder = client(ours, copies, delay_ms=20)
    kernels.send(queued(6, hook=link_netlink.HOOK_OUT, protocol=socket.IPPROTO_TCP))
    holder.take()
    assert verdicts(kernels) == [(link_netlink.DROP, 6)] and not copies
    holder.let_go(None)
    assert len(copies) == 1 and not verdicts(kernels)


def test_a_client_that_is_told_to_end_lets_everything_go(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, kernels = ends
    holder = client(ours, [], delay_ms=5000)
    for number in range(200):
        kernels.send(queued(number))
        holder.take()
    run([holder], time.monotonic_ns() + 60_000_000_000, lambda: True)
    assert verdicts(kernels) == [(link_netlink.ACCEPT, number) for number in range(200)]


def test_a_client_ends_at_its_deadline(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, kernels = ends
    holder = client(ours, [], delay_ms=5000)
    kernels.send(queued(1))
    began = time.monotonic()
    run([holder], time.monotonic_ns() + 200_000_000, lambda: False)
    assert time.monotonic() - began < 2
    assert verdicts(kernels) == [(link_netlink.ACCEPT, 1)]
