# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packets by which a link is measured: ICMP echo (RFC 792), or the first packet of a TCP connection (RFC 9293).

Nobody accepts such a connection: the peer's kernel answers, ours resets. A closed port answers as well as an open one.
Each packet carries its number twice, so that one that was changed on the way is still known.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.halab.faults.plugins.module_utils.packets import checksum

_ECHO = 8
_SYN, _RST = 0x02, 0x04
_SMALL_BYTES, _LARGE_BYTES = 36, 1372
_NAME = b"halab"

# Instructions of classic BPF (linux/bpf_common.h): load byte, half, word; half behind the header; compare; return.
_LDB, _LDW, _LDX_HEADER, _LDH_BEHIND = 0x30, 0x20, 0xB1, 0x48
_JEQ, _JGE, _JGT, _RET = 0x15, 0x35, 0x25, 0x06
_COPIED_BYTES = 256
_SO_ATTACH_FILTER = 26


@dataclass(frozen=True, slots=True)
class Target:
    """A peer and how it is asked: `port` 0 is ICMP."""

    address: str
    port: int = 0

    @property
    def words(self) -> str:
        return f"{self.address} port {self.port}" if self.port else self.address


@dataclass(frozen=True, slots=True)
class Probes:
    """The packets of one measurement, told from all others by `nonce` (ICMP) or by their ports from `first_port`."""

    nonce: int
    first_port: int
    count: int
    large: bool = False

    def packet(self, number: int, target: Target, own: str) -> bytes:
        """What goes behind the IP header, from `own` to the target."""
        if target.port:
            return self._syn(number, target, own)
        data = _NAME + struct.pack(">HI", self.nonce, number)
        data = data.ljust(_LARGE_BYTES if self.large else _SMALL_BYTES, b"\0")
        head = struct.pack(">BBHHH", _ECHO, 0, 0, self.nonce, number)
        return struct.pack(">BBHHH", _ECHO, 0, checksum(head + data), self.nonce, number) + data

    def number(self, protocol: int, packet: bytes, *, answer: bool) -> int | None:
        """The number of this probe, or of the one that this is the answer to; None when it is neither."""
        if protocol == socket.IPPROTO_ICMP:
            return self._echo_number(packet)
        return self._tcp_number(packet, answer=answer)

    def _syn(self, number: int, target: Target, own: str) -> bytes:
        ports = (self.first_port + number, target.port)
        pseudo = socket.inet_aton(own) + socket.inet_aton(target.address) + struct.pack(">BBH", 0, 6, 20)
        total = 0
        for _ in range(2):
            segment = struct.pack(">HHIIBBHHH", *ports, self._sequence(number), 0, 5 << 4, _SYN, 1024, total, 0)
            total = total or checksum(pseudo + segment)
        return segment

    def _sequence(self, number: int) -> int:
        return self.nonce << 16 | number

    def _echo_number(self, packet: bytes) -> int | None:
        inside = 8 + len(_NAME)
        if len(packet) < inside + 6:
            return None
        for nonce, number in (struct.unpack_from(">HH", packet, 4), struct.unpack_from(">HI", packet, inside)):
            if nonce == self.nonce and number < self.count:
                return int(number)
        return None

    def _tcp_number(self, packet: bytes, *, answer: bool) -> int | None:
        # Our kernel resets the connection that it does not know; that packet is not a probe.
        if len(packet) < 20 or (not answer and packet[13] & _RST):
            return None
        sport, dport, sequence, acknowledged = struct.unpack_from(">HHII", packet)
        by_port = (dport if answer else sport) - self.first_port
        by_sequence = (acknowledged - 1 if answer else sequence) - (self.nonce << 16)
        for number in (by_port, by_sequence):
            if 0 <= number < self.count:
                return int(number)
        return None

    def filter(self, targets: Sequence[Target]) -> bytes:
        """A packet filter that lets only these probes and their answers through, roughly. Packets begin at IP."""
        protocol = socket.IPPROTO_TCP if targets[0].port else socket.IPPROTO_ICMP
        code = [(_LDB, 0, 0, 9), (_JEQ, 1, 0, protocol), (_RET, 0, 0, 0)]
        if targets[0].port:
            last = self.first_port + self.count - 1
            code += [
                (_LDX_HEADER, 0, 0, 0),
                (_LDH_BEHIND, 0, 0, 0),
                (_JGE, 0, 1, self.first_port),
                (_JGT, 0, 4, last),
                (_LDH_BEHIND, 0, 0, 2),
                (_JGE, 0, 1, self.first_port),
                (_JGT, 0, 1, last),
                (_RET, 0, 0, 0),
            ]
        code.append((_RET, 0, 0, _COPIED_BYTES))
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def attach(tap: socket.socket, program: bytes) -> None:
    """Have a socket receive only what the filter lets through."""
    import ctypes

    buffer = ctypes.create_string_buffer(program)
    tap.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    )


def same(protocol: int, first: bytes, second: bytes) -> bool:
    """Whether two sightings of a packet hold the same, as far as both go. TCP's checksum may be filled in meanwhile."""
    length = min(len(first), len(second))
    if protocol == socket.IPPROTO_TCP:
        first, second = first[:16] + first[18:], second[:16] + second[18:]
        length -= 2
    return first[:length] == second[:length]
