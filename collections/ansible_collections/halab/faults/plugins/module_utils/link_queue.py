# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The queue client: holds packets that the kernel hands over, and lets each go when its time has come.

When the client ends, however it ends, the kernel passes packets by it: the link is healed.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import heapq
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.halab.faults.plugins.module_utils import injector
from ansible_collections.halab.faults.plugins.module_utils import link_netlink as netlink
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment, Shaper, flipped

LENGTH = 65536
BUFFER_BYTES = 64 << 20
# Copies carry it, so that a rule in front can tell them from packets that still have to be judged.
MARK = 0x68616C62
_HEADERS_BYTES = 64
_WHOLE_PACKET = 0xFFFF
_PACKETS_A_TURN = 64
_LOOK_EVERY_S = 0.5
# Before other processes, where that is granted: what a busy machine makes it wait is a delay too.
_PRIORITY = -15
_SO_RCVBUFFORCE = 33
_NETLINK, _NETLINK_NO_ENOBUFS = 270, 5
_ATTRIBUTE = struct.Struct("=HH")
_PACKET = struct.Struct(">IHB")
_HEAD_LENGTH = 20  # netlink's header and nfnetlink's


class Held(NamedTuple):
    """A packet in the kernel's queue: its number, the hook at which it waits, its first (or all) bytes from IP on."""

    number: int
    hook: int
    data: bytes

    @property
    def peer(self) -> bytes:
        return self.data[12:16] if self.hook == netlink.HOOK_IN else self.data[16:20]

    @property
    def length(self) -> int:
        """Bytes that the whole packet has, also when only its head is here; large ones tell 0."""
        return int.from_bytes(self.data[2:4], "big") or len(self.data)

    @property
    def header(self) -> int:
        return (self.data[0] & 15) * 4

    @property
    def is_tcp(self) -> bool:
        return self.data[9] == socket.IPPROTO_TCP


def parsed(datagram: bytes) -> Held | None:
    """The packet in a message of the queue, None for any other message."""
    if _ATTRIBUTE.unpack_from(datagram, 4)[0] != netlink.QUEUE_PACKET:
        return None
    number, hook, data = -1, 0, b""
    position = _HEAD_LENGTH
    while position + 4 <= len(datagram):
        length, kind = _ATTRIBUTE.unpack_from(datagram, position)
        if kind == 1:
            number, _protocol, hook = _PACKET.unpack_from(datagram, position + 4)
        elif kind == 10:
            data = datagram[position + 4 : position + length]
        if length < 4:
            break
        position += length + (-length & 3)
    return Held(number, hook, data) if number >= 0 and len(data) >= 20 else None


class Waiting(NamedTuple):
    """A packet until its time has come. `number`: -1 when the kernel has dropped the original already.

    `changed` replaces the original; `copies` are sent beside it.
    """

    due_ns: int
    order: int
    number: int
    changed: bytes
    copies: tuple[bytes, ...]


@dataclass(slots=True)
class Client:
    """A listener of one queue, and the packets it holds.

    `send_copy` sends a packet past the rule that queues. `apart`: every peer has a link of its own.
    """

    queue: int
    shaper: Shaper
    link: socket.socket
    send_copy: Callable[[bytes], None]
    apart: bool = True
    _held: list[Waiting] = field(default_factory=list)
    _arrived: int = 0
    _accept: bytes = b""
    _drop: bytes = b""

    def __post_init__(self) -> None:
        self._accept = netlink.verdict(self.queue, netlink.ACCEPT)
        self._drop = netlink.verdict(self.queue, netlink.DROP)

    @property
    def next_due_ns(self) -> int | None:
        return self._held[0].due_ns if self._held else None

    def take(self) -> None:
        """Judge what the kernel has handed over. Raises OSError when it hands over no more."""
        for _ in range(_PACKETS_A_TURN):
            try:
                held = parsed(self.link.recv(_WHOLE_PACKET + 4096))
            except BlockingIOError:
                return
            except OSError as error:
                # Messages were lost because the buffer was full: the kernel has let those packets pass already.
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            if held is not None:
                self._judge(held)

    def let_go(self, now_ns: int | None) -> None:
        """Let every packet go whose time has come; all of them when `now_ns` is None. One system call for many."""
        verdicts: list[bytes] = []
        while self._held and (now_ns is None or self._held[0].due_ns <= now_ns):
            waiting = heapq.heappop(self._held)
            for copy in waiting.copies:
                self.send_copy(copy)
            if waiting.changed:
                verdicts.append(netlink.verdict_changing(self.queue, waiting.number, waiting.changed))
            elif waiting.number >= 0:
                verdicts.append(self._accept + waiting.number.to_bytes(4, "big"))
            if len(verdicts) >= _PACKETS_A_TURN:
                self._decide(b"".join(verdicts))
                verdicts.clear()
        if verdicts:
            self._decide(b"".join(verdicts))

    def _judge(self, held: Held) -> None:
        now = time.monotonic_ns()
        fate = self.shaper.fate((held.hook, held.peer if self.apart else b""), held.length, now)
        if fate.lost:
            self._decide(self._drop + held.number.to_bytes(4, "big"))
            return
        changed = flipped(held.data, held.header, self.shaper.chance) if fate.corrupted else b""
        copies = (changed or held.data,) if fate.duplicated else ()
        number = held.number
        # TCP sends little more while its last packets are still on this machine (TCP small queues), so a copy travels
        # in the place of an outgoing one that has to wait.
        if held.hook == netlink.HOOK_OUT and held.is_tcp and fate.due_ns > now:
            self._decide(self._drop + number.to_bytes(4, "big"))
            copies, changed, number = (*copies, changed or held.data), b"", -1
        self._arrived += 1
        heapq.heappush(self._held, Waiting(fate.due_ns, self._arrived, number, changed, copies))

    def _decide(self, verdicts: bytes) -> None:
        # A verdict on a packet that is gone, because its device went away, is refused: nothing is left to decide.
        with contextlib.suppress(OSError):
            self.link.send(verdicts)


def run(clients: Sequence[Client], deadline_ns: int, stopped: Callable[[], bool]) -> None:
    """Hold and let go until the deadline on CLOCK_MONOTONIC, or until `stopped`; then let everything go."""
    links = {client.link: client for client in clients}
    while not stopped() and not injector.expired(deadline_ns):
        dues = [due for client in clients if (due := client.next_due_ns) is not None]
        wait = min((min(dues, default=deadline_ns) - time.monotonic_ns()) / 1e9, _LOOK_EVERY_S)
        ready, _, _ = select.select(list(links), [], [], max(0.0, wait))
        for link in ready:
            links[link].take()
        for client in clients:
            client.let_go(time.monotonic_ns())
    for client in clients:
        client.let_go(None)


def bound(queue: int, hook: int, impairment: Impairment) -> socket.socket:
    """Become the listener of a queue to which `hook` sends. Raises OSError, also when another process is."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, netlink.NETLINK_NETFILTER)
    link.bind((0, 0))
    with contextlib.suppress(PermissionError):
        link.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
    if link.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < BUFFER_BYTES:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    link.setsockopt(_NETLINK, _NETLINK_NO_ENOBUFS, 1)
    waits_outside = hook == netlink.HOOK_OUT and bool(impairment.delay_ms or impairment.rate_kbit)
    copied = _WHOLE_PACKET if impairment.needs_payload or waits_outside else _HEADERS_BYTES
    requests = (
        netlink.bind_queue(),
        netlink.copy_packets(copied)
        + netlink.queue_length(LENGTH)
        + netlink.queue_flags(fail_open=True, large=not (impairment.needs_single_packets or waits_outside)),
    )
    for request in requests:
        link.send(netlink.queue_config(queue, request))
        for code in netlink.errors(link.recv(65536)):
            if code:
                raise netlink.NetlinkError(code, f"queue {queue} cannot be listened to ({errno.errorcode.get(code)})")
    link.setblocking(False)
    return link


def copier() -> Callable[[bytes], None]:
    """A way to send a whole IPv4 packet as it is. Raises OSError where raw sockets are not granted.

    A packet for this machine takes the loopback device; one for a peer leaves as usual.
    """
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)

    def send(packet: bytes) -> None:
        with contextlib.suppress(OSError):
            raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))

    return send


def serve(queues: Mapping[int, int], impairment: Impairment, deadline_ns: int, *, apart: bool) -> None:
    """Be the client of queues, given by hook, until the deadline or SIGTERM. Raises OSError."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: told.append(received))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A pause of the garbage collector would be a delay that nobody asked for, and nothing here makes cycles.
    gc.disable()
    with contextlib.suppress(OSError):
        os.nice(_PRIORITY)
    send_copy = copier()
    shaper = Shaper(impairment)
    clients = [
        Client(queue, shaper, bound(queue, hook, impairment), send_copy, apart) for hook, queue in queues.items()
    ]
    run(clients, deadline_ns, lambda: bool(told))
    for client in clients:
        client.link.close()
