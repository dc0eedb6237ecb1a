# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What whoever makes packets by hand must know: the way to a peer, and the checksum that its kernel expects."""

from __future__ import annotations

import socket
import struct

_DISCARD = 9


def family(address: str) -> socket.AddressFamily:
    """The family of a literal address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def source_to(peer: str) -> str:
    """The address from which the kernel reaches the peer; for one of this machine's own, that very address.

    Nothing is sent: connecting a datagram socket only asks the routes. Raises OSError when there is no way.
    """
    with socket.socket(family(peer), socket.SOCK_DGRAM) as route:
        route.connect((peer, _DISCARD))
        return str(route.getsockname()[0])


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
