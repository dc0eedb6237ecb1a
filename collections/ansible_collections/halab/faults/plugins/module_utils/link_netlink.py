# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Netlink as `link` needs it: packet queues of nfnetlink, one nf_tables rule, and a question about qdiscs.

Layouts are those of the kernel's headers linux/netlink.h, linux/netfilter/nfnetlink_queue.h, nf_tables.h,
nf_tables_compat.h, xt_NFQUEUE.h and linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
_REQUEST, _ACK, _EXCL, _CREATE, _APPEND = 0x1, 0x4, 0x200, 0x400, 0x800
_ERROR = 2
_NESTED = 0x8000
_ANSWER_WITHIN_S = 5.0

_QUEUE = 3 << 8
_NFTABLES = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _NEWCHAIN, _NEWRULE = (_NFTABLES << 8 | number for number in (0, 3, 6))
_NEWQDISC = 36

QUEUE_PACKET = _QUEUE | 0
_QUEUE_VERDICT = _QUEUE | 1
_QUEUE_CONFIG = _QUEUE | 2
DROP, ACCEPT = 0, 1
HOOK_IN, HOOK_OUT = 1, 3


class NetlinkError(OSError):
    """The kernel refused a message; `errno` says why."""


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def message(kind: int, flags: int, payload: bytes, *, sequence: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def ask(family: int, messages: Sequence[bytes], *, answers: int) -> None:
    """Send messages in one datagram and await `answers` acknowledgements. Raises NetlinkError for the first refusal."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family) as link:
        link.bind((0, 0))
        link.settimeout(_ANSWER_WITHIN_S)
        link.send(b"".join(messages))
        seen = 0
        while seen < answers:
            for code in errors(link.recv(65536)):
                if code:
                    raise NetlinkError(code, os.strerror(code))
                seen += 1


def errors(data: bytes) -> Iterator[int]:
    """Error numbers in the acknowledgements of a datagram; 0 is success."""
    position = 0
    while position + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, position)
        if kind == _ERROR:
            yield -int(struct.unpack_from("=i", data, position + 16)[0])
        if length < 16:
            return
        position += length + (-length % 4)


def queue_rule(table: str, chain: str, queue: int, *, check: bool = False) -> None:
    """Append the rule "to `queue`, or past it when nobody listens" to a chain of an IPv4 table.

    The rule is the target NFQUEUE of x_tables, for kernels whose nf_tables has no queue statement of its own. `check`:
    make table and chain too, and have the kernel throw all of it away again, as `nft --check` does.
    Raises NetlinkError.
    """
    batch = [_batch(_BATCH_BEGIN)]
    if check:
        batch.append(_nft(_NEWTABLE, _CREATE | _EXCL, attribute(1, _text(table)), sequence=1))
        body = attribute(1, _text(table)) + attribute(3, _text(chain))
        batch.append(_nft(_NEWCHAIN, _CREATE | _EXCL, body, sequence=2))
    batch.append(_nft(_NEWRULE, _CREATE | _APPEND, _queue_rule(table, chain, queue), sequence=3))
    if not check:
        batch.append(_batch(_BATCH_END))
    ask(NETLINK_NETFILTER, batch, answers=3 if check else 1)


def _queue_rule(table: str, chain: str, queue: int) -> bytes:
    past_when_nobody_listens = 1
    # struct xt_NFQ_info_v3, padded to eight bytes: number of the first queue, how many queues, flags.
    info = struct.pack("=HHHxx", queue, 1, past_when_nobody_listens)
    target = attribute(1, b"NFQUEUE\0") + attribute(2, struct.pack(">I", 3)) + attribute(3, info)
    expression = nested(1, attribute(1, b"target\0"), nested(2, target))
    return attribute(1, _text(table)) + attribute(2, _text(chain)) + nested(4, expression)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _batch(kind: int) -> bytes:
    return message(kind, _REQUEST, struct.pack(">BBH", socket.AF_UNSPEC, 0, _NFTABLES))


def _nft(kind: int, flags: int, body: bytes, *, sequence: int) -> bytes:
    return message(kind, _REQUEST | _ACK | flags, struct.pack(">BBH", socket.AF_INET, 0, 0) + body, sequence=sequence)


def knows_qdisc(kind: str) -> bool:
    """Whether the kernel has, or can load, this queueing discipline. Raises NetlinkError when it cannot be asked.

    It is asked for one without its options on the loopback device: the kernel looks for the kind first, and refuses
    the missing options then. Only kinds that cannot be without options may be asked for: netem and tbf.
    """
    loopback = socket.if_nametoindex("lo")
    # struct tcmsg: family, padding, index, handle, parent (the root), info.
    head = struct.pack("=BxHiIII", socket.AF_UNSPEC, 0, loopback, 0, 0xFFFFFFFF, 0)
    request = message(_NEWQDISC, _REQUEST | _ACK | _CREATE | _EXCL, head + attribute(1, _text(kind)))
    try:
        ask(NETLINK_ROUTE, [request], answers=1)
    except NetlinkError as error:
        if error.errno == errno.EINVAL:
            return True
        if error.errno == errno.ENOENT:
            return False
        raise
    raise NetlinkError(errno.EEXIST, f"the kernel made a {kind} without options on lo")


def queue_config(number: int, *attributes: bytes) -> bytes:
    head = struct.pack(">BBH", socket.AF_UNSPEC, 0, number)
    return message(_QUEUE_CONFIG, _REQUEST | _ACK, head + b"".join(attributes))


def bind_queue() -> bytes:
    return attribute(1, struct.pack(">BxH", 1, 0))


def copy_packets(most_bytes: int) -> bytes:
    """Have the queue hand over each packet's first bytes."""
    return attribute(2, struct.pack(">IB", most_bytes, 2))


def queue_length(packets: int) -> bytes:
    return attribute(3, struct.pack(">I", packets))


def queue_flags(*, fail_open: bool, large: bool) -> bytes:
    """`fail_open`: packets pass when the queue is full. `large`: packets that the device would cut stay whole."""
    mask = 1 | 4
    return attribute(5, struct.pack(">I", (1 if fail_open else 0) | (4 if large else 0))) + attribute(
        4, struct.pack(">I", mask)
    )


def verdict(queue: int, decision: int) -> bytes:
    """All of a verdict but its end, the packet's number in four bytes of network order."""
    return message(_QUEUE_VERDICT, _REQUEST, _verdict_body(queue, decision, 0))[:-4]


def verdict_changing(queue: int, packet: int, payload: bytes) -> bytes:
    """Accept a packet that becomes `payload`."""
    return message(_QUEUE_VERDICT, _REQUEST, _verdict_body(queue, ACCEPT, packet) + attribute(10, payload))


def _verdict_body(queue: int, decision: int, packet: int) -> bytes:
    head = struct.pack(">BBH", socket.AF_UNSPEC, 0, queue)
    return head + attribute(2, struct.pack(">II", decision, packet))
