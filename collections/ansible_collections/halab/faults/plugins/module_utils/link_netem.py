# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The same impairment by tc-netem(8), for kernels that have it: the commands, and how they are taken back.

One class of HTB for each peer, a netem below each, and filters that lead only the wanted packets there; what no filter
matches leaves unshaped. Incoming packets are sent through an IFB device and meet the same there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv
from ansible_collections.halab.faults.plugins.module_utils.link_shape import BACKLOG_LEAST_BYTES, BACKLOG_S, Impairment
from ansible_collections.halab.faults.plugins.module_utils.link_steer import Traffic
from ansible_collections.halab.faults.plugins.module_utils.probes import run

_PACKET_BYTES = 1500
_MOST_PACKETS = 65536
# Far above any device here: HTB only sorts, netem holds to the rate.
_UNLIMITED = "10gbit"
_PROTOCOLS = {"tcp": "6", "udp": "17"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The queueing disciplines of one fault. `major`: the handle by which they are known as ours, such as 7a31."""

    device: str
    ifb: str
    major: str
    traffic: Traffic
    impairment: Impairment

    def commands(self) -> tuple[Argv, ...]:
        """What puts the fault up, in order."""
        found: list[Argv] = []
        if "out" in self.traffic.directions:
            found += self._shaped(self.device, "dst")
        if "in" in self.traffic.directions:
            found.append(("ip", "link", "add", self.ifb, "type", "ifb"))
            found.append(("ip", "link", "set", self.ifb, "up"))
            found += self._shaped(self.ifb, "src")
            found.append(("tc", "qdisc", "add", "dev", self.device, "handle", "ffff:", "ingress"))
            everything = ("u32", "match", "u32", "0", "0", "action", "mirred", "egress", "redirect", "dev", self.ifb)
            found.append(("tc", "filter", "add", "dev", self.device, "parent", "ffff:", "protocol", "ip", *everything))
        return tuple(found)

    def _shaped(self, device: str, side: str) -> Iterator[Argv]:
        qdisc, filtered = ("tc", "qdisc", "add", "dev", device), ("tc", "filter", "add", "dev", device)
        root = f"{self.major}:"
        yield (*qdisc, "root", "handle", root, "htb")
        for address in self.traffic.spared:
            yield (*filtered, "parent", root, *_match(1, side, address), "flowid", f"{root}0")
        for number, peer in enumerate(self.traffic.peers or ("",), start=1):
            flow = f"{root}{number:x}"
            yield ("tc", "class", "add", "dev", device, "parent", root, "classid", flow, "htb", "rate", _UNLIMITED)
            yield (*qdisc, "parent", flow, *netem(self.impairment))
            for match in self._matches(side, peer):
                yield (*filtered, "parent", root, *match, "flowid", flow)

    def _matches(self, side: str, peer: str) -> Iterator[Argv]:
        if not self.traffic.ports:
            yield _match(2, side, peer)
        for port in self.traffic.ports:
            for protocol in _PROTOCOLS.values():
                for end in ("sport", "dport"):
                    ports = ("match", "ip", "protocol", protocol, "0xff", "match", "ip", end, str(port), "0xffff")
                    yield (*_match(2, side, peer), *ports)


def _match(preference: int, side: str, address: str) -> Argv:
    what = ("ip", side, f"{address}/32") if address else ("u32", "0", "0")
    return ("protocol", "ip", "prio", str(preference), "u32", "match", *what)


def netem(asked: Impairment) -> Argv:
    """Netem and its arguments."""
    held_bytes = max(BACKLOG_S * asked.rate_kbit * 125, BACKLOG_LEAST_BYTES)
    limit = int(held_bytes / _PACKET_BYTES) if asked.rate_kbit else _MOST_PACKETS
    words = ["netem", "limit", str(limit)]
    if asked.delay_ms:
        words += ["delay", f"{asked.delay_ms:g}ms"]
    if asked.jitter_ms:
        words.append(f"{asked.jitter_ms:g}ms")
    if asked.loss and asked.burst:
        turn_bad, turn_good = asked.gilbert
        words += ["loss", "gemodel", f"{100 * turn_bad:.6g}%", f"{100 * turn_good:.6g}%"]
    elif asked.loss:
        words += ["loss", f"{asked.loss:g}%"]
    for name in ("duplicate", "corrupt", "reorder"):
        percent = getattr(asked, name)
        if percent:
            words += [name, f"{percent:g}%"]
    if asked.rate_kbit:
        words += ["rate", f"{asked.rate_kbit:g}kbit"]
    return tuple(words)


def take_down(device: str, ifb: str, major: str) -> None:
    """Remove what `Tree.commands` made, as far as it is there. Raises OSError."""
    if root_handle(device) == f"{major}:":
        _do("tc", "qdisc", "del", "dev", device, "root")
    if device_exists(ifb):
        code, filters, _err = run(["tc", "filter", "show", "dev", device, "parent", "ffff:"])
        # An ingress qdisc that leads elsewhere is somebody's who came between our checks and our commands.
        if has_ingress(device) and code == 0 and (not filters or ifb in filters):
            _do("tc", "qdisc", "del", "dev", device, "ingress")
        _do("ip", "link", "del", ifb)


def present(device: str, ifb: str, major: str) -> bool:
    """Whether anything of it is there."""
    return root_handle(device) == f"{major}:" or device_exists(ifb)


def qdiscs(device: str) -> list[dict[str, Any]]:
    """Queueing disciplines of a device as `tc -j` tells them. Raises OSError."""
    code, out, err = run(["tc", "-j", "qdisc", "show", "dev", device])
    if code != 0:
        raise OSError(f"`tc qdisc show dev {device}` failed with code {code}: {err}")
    listed: list[dict[str, Any]] = json.loads(out or "[]")
    return listed


def root_handle(device: str) -> str:
    """The root's handle; `0:` is the kernel's own choice, which comes back by itself when another is removed."""
    if not device_exists(device):
        return ""
    return next((str(qdisc["handle"]) for qdisc in qdiscs(device) if qdisc.get("root")), "0:")


def has_ingress(device: str) -> bool:
    return any(qdisc["kind"] in ("ingress", "clsact") for qdisc in qdiscs(device))


def device_exists(device: str) -> bool:
    return run(["ip", "link", "show", "dev", device])[0] == 0


def _do(*argv: str) -> None:
    code, out, err = run(argv)
    if code != 0:
        raise OSError(f"`{' '.join(argv)}` failed with code {code}: {err or out}")
