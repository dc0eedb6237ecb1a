# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packets by which a cut is proven: single TCP and UDP packets of any ports, and real attempts to connect."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.halab.faults.plugins.module_utils import packets

SYN, RST, ACK = 0x02, 0x04, 0x10
_WINDOW = 64240


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment without data to a peer. `ours` and `theirs` are the ports of either end."""

    peer: str
    ours: int
    theirs: int
    flags: int
    sequence: int
    acknowledged: int = 0


def send(segments: Sequence[Segment]) -> None:
    """Send each once; one that has no way out is not sent. Needs CAP_NET_RAW (see `may_send`)."""
    for segment in segments:
        head = struct.pack(
            "!HHIIBBHHH",
            segment.ours,
            segment.theirs,
            segment.sequence,
            segment.acknowledged,
            5 << 4,
            segment.flags,
            _WINDOW,
            0,
            0,
        )
        _send_raw(segment.peer, socket.IPPROTO_TCP, head, checksum_at=16)


def send_datagrams(peer: str, ports: Sequence[tuple[int, int]]) -> None:
    """Send an empty UDP datagram for each pair of our port and theirs. Needs CAP_NET_RAW."""
    for ours, theirs in ports:
        _send_raw(peer, socket.IPPROTO_UDP, struct.pack("!HHHH", ours, theirs, 8, 0), checksum_at=6)


def may_send() -> bool:
    """Whether this process may send packets of its own making."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP):
            return True
    except PermissionError:
        return False


def any_port() -> int:
    """A port that the kernel does not give to connections by default."""
    return random.randint(61000, 65000)  # noqa: S311 (only to be a different one each time)


def any_sequence() -> int:
    return random.getrandbits(31)


def connected(ends: Sequence[tuple[str, int]], *, within_s: float) -> dict[tuple[str, int], str]:
    """Connect to every address and port at once; says `connected`, `silent` after `within_s` seconds, or the error."""
    poll = select.poll()
    open_sockets: dict[int, tuple[socket.socket, tuple[str, int]]] = {}
    found: dict[tuple[str, int], str] = {}
    try:
        for end in ends:
            attempt = socket.socket(packets.family(end[0]), socket.SOCK_STREAM)
            open_sockets[attempt.fileno()] = (attempt, end)
            attempt.setblocking(False)
            try:
                attempt.connect(end)
            except BlockingIOError:
                poll.register(attempt, select.POLLOUT)
            except OSError as error:
                found[end] = error.strerror or str(error)
        deadline = time.monotonic() + within_s
        while len(found) < len(ends) and (left := deadline - time.monotonic()) > 0:
            for handle, _event in poll.poll(left * 1000):
                attempt, end = open_sockets[handle]
                poll.unregister(handle)
                problem = attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                found[end] = os.strerror(problem) if problem else "connected"
    finally:
        for attempt, _end in open_sockets.values():
            attempt.close()
    return {end: found.get(end, "silent") for end in ends}


def _send_raw(peer: str, protocol: int, head: bytes, *, checksum_at: int) -> None:
    family = packets.family(peer)
    with contextlib.suppress(OSError):
        ends = socket.inet_pton(family, packets.source_to(peer)) + socket.inet_pton(family, peer)
        pseudo = ends + struct.pack("!II", len(head), protocol)
        summed = struct.pack("!H", packets.checksum(pseudo + head) or 0xFFFF)
        packet = head[:checksum_at] + summed + head[checksum_at + 2 :]
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            # A port here would be a protocol number to IPv6, and must be 0 or that of the socket.
            raw.sendto(packet, (peer, 0))
