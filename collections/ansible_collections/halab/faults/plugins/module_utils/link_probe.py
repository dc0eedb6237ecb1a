# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measuring a link on this machine: what happens to a packet between the wire and the program, both ways.

A tap (packet(7)) sees packets where they pass the device; a raw socket (raw(7)) sees them where a program would. What
lies between is what this machine does to them, whatever the network and the peer do, so that faults of several machines
between the same two are told apart.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.halab.faults.plugins.module_utils.link_packets import Probes, Target, attach, same
from ansible_collections.halab.faults.plugins.module_utils.packets import checksum, source_to

# Devices that netem's incoming packets take; there they are neither on the wire nor delivered.
IFB_PREFIX = "hifb"
_EVERYTHING = 3
_SO_TIMESTAMPNS = 35
_OUTGOING, _TO_US = 4, 0
_BUFFER_BYTES = 4 << 20
_MOST_PROBES = 10_000
# Below the ports that kernels hand out by default (net.ipv4.ip_local_port_range starts at 32768).
_FIRST_PORT, _LAST_PORT = 12_000, 32_000


@dataclass(slots=True)
class Trace:
    """Where a probe and its answer were seen: nanoseconds of CLOCK_REALTIME, 0 when not seen."""

    target: Target
    sent_ns: int = 0
    left_ns: int = 0
    arrived_ns: int = 0
    delivered_ns: int = 0
    left: int = 0
    delivered: int = 0
    answer_bytes: int = 0
    changed_out: bool = False
    changed_in: bool = False
    _request: bytes = b""
    _answer: bytes = b""


@dataclass(slots=True)
class Measurement:
    """Probes of one kind (ICMP, or TCP to a port) to `targets` in turn."""

    targets: Sequence[Target]
    count: int
    gap_s: float
    wait_s: float
    large: bool = False
    traces: list[Trace] = field(default_factory=list)
    _probes: Probes = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.count <= _MOST_PROBES:
            raise ValueError(f"count = {self.count}: is not from 1 to {_MOST_PROBES}.")
        chance = random.SystemRandom()
        first = chance.randrange(_FIRST_PORT, _LAST_PORT - self.count)
        self._probes = Probes(chance.randrange(1, 0x8000), first, self.count, self.large)

    @property
    def protocol(self) -> int:
        return socket.IPPROTO_TCP if self.targets[0].port else socket.IPPROTO_ICMP

    def run(self) -> list[Trace]:
        """Send every probe, `gap_s` apart, and await answers until `wait_s` after the last. Raises OSError."""
        with _tap(self._probes, self.targets) as tap, _raw(self.protocol) as raw:
            own = {target.address: source_to(target.address) for target in self.targets}
            started = time.monotonic()
            for number in range(self.count):
                target = self.targets[number % len(self.targets)]
                trace = Trace(target)
                trace._request = self._probes.packet(number, target, own[target.address])
                self.traces.append(trace)
                trace.sent_ns = time.time_ns()
                with contextlib.suppress(OSError):
                    raw.sendto(trace._request, (target.address, 0))
                self._listen(tap, raw, started + (number + 1) * self.gap_s)
            self._listen(tap, raw, time.monotonic() + self.wait_s, until_answered=True)
        return self.traces

    def _listen(self, tap: socket.socket, raw: socket.socket, until: float, *, until_answered: bool = False) -> None:
        while not (until_answered and all(trace.delivered for trace in self.traces)):
            left = until - time.monotonic()
            ready, _, _ = select.select([tap, raw], [], [], max(0.0, left))
            # The tap first: an answer must be known from the wire before it is known as delivered.
            if tap in ready:
                self._on_wire(tap)
            if raw in ready:
                self._on_delivery(raw, tap)
            if left <= 0:
                return

    def _on_wire(self, tap: socket.socket) -> None:
        while True:
            try:
                packet, ancillary, _flags, address = tap.recvmsg(512, 64)
            except BlockingIOError:
                return
            device, kind = address[0], address[2]
            on_a_wire = device != "lo" and not device.startswith(IFB_PREFIX) and kind in (_OUTGOING, _TO_US)
            if not on_a_wire or len(packet) < 20 or packet[0] >> 4 != 4:
                continue
            header, behind = packet[: (packet[0] & 15) * 4], packet[(packet[0] & 15) * 4 :]
            trace = self._of(behind, answer=kind == _TO_US)
            if trace is None:
                continue
            if kind == _OUTGOING:
                trace.left += 1
                trace.left_ns = trace.left_ns or _stamp(ancillary)
                # Netem changes any bit, also of the IP header.
                trace.changed_out |= checksum(header) != 0 or not same(self.protocol, behind, trace._request)
            elif not trace.arrived_ns:
                trace.arrived_ns, trace._answer = _stamp(ancillary), behind
                trace.answer_bytes = int.from_bytes(packet[2:4], "big")

    def _on_delivery(self, raw: socket.socket, tap: socket.socket) -> None:
        while True:
            try:
                packet = raw.recv(65535)
            except BlockingIOError:
                return
            now = time.time_ns()
            behind = packet[(packet[0] & 15) * 4 :]
            trace = self._of(behind, answer=True)
            if trace is None:
                continue
            if not trace.arrived_ns:
                self._on_wire(tap)
            trace.delivered += 1
            trace.delivered_ns = trace.delivered_ns or now
            trace.changed_in |= not same(self.protocol, behind, trace._answer)

    def _of(self, packet: bytes, *, answer: bool) -> Trace | None:
        number = self._probes.number(self.protocol, packet, answer=answer)
        return self.traces[number] if number is not None and number < len(self.traces) else None


def answering(targets: Sequence[Target], *, wait_s: float) -> set[Target]:
    """Those that answer one of a few probes within `wait_s` seconds. Raises OSError where raw sockets are refused."""
    found: set[Target] = set()
    for kind in (0, 1):
        group = [target for target in targets if bool(target.port) == bool(kind)]
        if group:
            traces = Measurement(group, 3 * len(group), 0.01, wait_s).run()
            found |= {trace.target for trace in traces if trace.arrived_ns or trace.delivered_ns}
    return found


def _tap(probes: Probes, targets: Sequence[Target]) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.htons(_EVERYTHING))
    attach(tap, probes.filter(targets))
    tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    tap.setblocking(False)
    # What came in before the filter was there is not ours.
    with contextlib.suppress(BlockingIOError):
        while True:
            tap.recv(1)
    return tap


def _raw(protocol: int) -> socket.socket:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    raw.setblocking(False)
    return raw


def _stamp(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    """When the kernel saw the packet."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= 16:
            seconds, nanoseconds = struct.unpack("@qq", data[:16])
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()


def allowed() -> bool:
    """Whether this process may tap and send raw packets."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0), _raw(socket.IPPROTO_ICMP):
            return True
    except PermissionError:
        return False
