# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packets meet the fault: a table of nf_tables, our own, that leads them to the queue client.

The peers are elements with a timeout: when the fault's time is over the kernel stops leading packets there, even when
every process of ours is dead.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import link_netlink as netlink
from ansible_collections.halab.faults.plugins.module_utils.link_queue import MARK
from ansible_collections.halab.faults.plugins.module_utils.probes import run

QUEUES = Path("/proc/net/netfilter/nfnetlink_queue")
EVERYTHING = "0.0.0.0/0"
HOOKS: Mapping[str, int] = {"in": netlink.HOOK_IN, "out": netlink.HOOK_OUT}
_FIRST_QUEUE, _QUEUES = 1024, 60000
_NFT_WITHIN_S = 10.0
_MISSING = 127
# Outgoing packets are taken before connection tracking sees them, because some leave as a copy, which it sees instead.
_CHAINS = {"in": ("input", -5, "iif", "saddr"), "out": ("output", -305, "oif", "daddr")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Packets of a link: with `peers` (none: with everybody but `spared`), from or to `ports` (none: all)."""

    peers: tuple[str, ...]
    ports: tuple[int, ...]
    directions: tuple[str, ...]
    spared: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Traffic:
        return cls(
            peers=tuple(data["peers"]),
            ports=tuple(data["ports"]),
            directions=tuple(data["directions"]),
            spared=tuple(data["spared"]),
        )

    def words(self) -> str:
        way = "from and to" if len(self.directions) > 1 else {"in": "from", "out": "to"}[self.directions[0]]
        who = ", ".join(self.peers) or "everybody"
        ports = f" port {', '.join(str(port) for port in self.ports)}" if self.ports else ""
        return f"{way} {who}{ports}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """A table that leads traffic to queues, by direction. `native`: the kernel's nf_tables has a queue statement."""

    table: str
    traffic: Traffic
    queues: Mapping[str, int]
    native: bool

    def dump(self) -> dict[str, Any]:
        return {**asdict(self), "traffic": self.traffic.dump(), "queues": dict(self.queues)}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Steering:
        return cls(
            table=str(data["table"]),
            traffic=Traffic.load(data["traffic"]),
            queues={str(way): int(number) for way, number in data["queues"].items()},
            native=bool(data["native"]),
        )

    def text(self, *, ttl_s: int) -> str:
        """The table in the language of nft(8), with peers that it forgets after `ttl_s` seconds."""
        timed = ", ".join(f"{peer} timeout {ttl_s}s" for peer in self.traffic.peers or (EVERYTHING,))
        lines = [f"table ip {self.table} {{", *_set("peers", "ipv4_addr", timed, flags="interval, timeout")]
        if self.traffic.spared:
            lines += _set("spared", "ipv4_addr", ", ".join(self.traffic.spared))
        if self.traffic.ports:
            lines += _set("ports", "inet_service", ", ".join(str(port) for port in self.traffic.ports))
        for way in self.traffic.directions:
            lines += self._chains(way)
        return "\n".join([*lines, "}", ""])

    def _chains(self, way: str) -> Iterator[str]:
        hook, priority, device, field = _CHAINS[way]
        yield f" chain {way}_queued {{"
        if self.native:
            yield f"  queue flags bypass to {self.queues[way]}"
        yield " }"
        yield f" chain {way} {{"
        yield f"  type filter hook {hook} priority {priority}; policy accept;"
        yield f"  {device} lo accept"
        if way == "out":
            yield f"  meta mark {MARK:#x} accept"
        if self.traffic.spared:
            yield f"  ip {field} @spared accept"
        for ports in self._port_matches():
            yield f"  ip {field} @peers {ports}jump {way}_queued"
        yield " }"

    def _port_matches(self) -> tuple[str, ...]:
        if not self.traffic.ports:
            return ("",)
        return tuple(f"meta l4proto {{ tcp, udp }} th {side} @ports " for side in ("sport", "dport"))

    def put_up(self, *, ttl_s: int) -> None:
        """Lead packets for `ttl_s` seconds. Raises OSError with what nft or the kernel says."""
        code, err = _nft("-f", "-", text=self.text(ttl_s=ttl_s))
        if code != 0:
            raise OSError(f"nft refuses the table {self.table}: {err}")
        if not self.native:
            for way in self.traffic.directions:
                netlink.queue_rule(self.table, f"{way}_queued", self.queues[way])


def _set(name: str, kind: str, elements: str, *, flags: str = "") -> Iterator[str]:
    yield f" set {name} {{"
    yield f"  type {kind}"
    if flags:
        yield f"  flags {flags}"
    yield f"  elements = {{ {elements} }}"
    yield " }"


def take_down(table: str) -> None:
    """Remove the table if it is there. Raises OSError."""
    if table in tables():
        code, err = _nft("delete", "table", "ip", table)
        if code != 0 and table in tables():
            raise OSError(f"nft does not remove the table {table}: {err}")


def tables() -> list[str]:
    """Names of all IPv4 tables. Raises OSError when nft cannot tell."""
    code, out, err = run(["nft", "list", "tables", "ip"], within_s=_NFT_WITHIN_S)
    if code == _MISSING:
        # Without nft no table was made; netem does without.
        return []
    if code != 0:
        raise OSError(f"`nft list tables ip` failed with code {code}: {err}")
    return [line.split()[2] for line in out.splitlines() if line.startswith("table ip ")]


def table_name(ledger: str, entry_id: str) -> str:
    return f"halab_link_{_digest(ledger, entry_id)[:12]}"


def taken() -> set[int]:
    """Queues that have a listener."""
    try:
        return {int(line.split()[0]) for line in QUEUES.read_text(encoding="ascii").splitlines()}
    except FileNotFoundError:
        return set()


def free_queues(ledger: str, entry_id: str, directions: tuple[str, ...]) -> dict[str, int]:
    """A queue without a listener for each direction. Faults that start at once come to different ones, by their id."""
    start = int(_digest(ledger, entry_id)[:12], 16)
    used = taken()
    found: dict[str, int] = {}
    for offset in range(_QUEUES):
        number = _FIRST_QUEUE + (start + offset) % _QUEUES
        if number not in used:
            found[directions[len(found)]] = number
            if len(found) == len(directions):
                break
    return found


def native_queue() -> bool | None:
    """Whether nf_tables has a queue statement here; None when packets cannot be queued at all. Changes nothing."""
    code, _err = _nft(
        "--check", "-f", "-", text="table ip halab_link_probe {\n chain q {\n  queue flags bypass to 1\n }\n}\n"
    )
    if code == 0:
        return True
    try:
        netlink.queue_rule("halab_link_probe", "q", 1, check=True)
    except netlink.NetlinkError:
        return None
    return False


def _digest(ledger: str, entry_id: str) -> str:
    return hashlib.sha256(f"{ledger}\0{entry_id}".encode()).hexdigest()


def _nft(*arguments: str, text: str = "") -> tuple[int, str]:
    try:
        done = subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=_NFT_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _MISSING, str(error)
    return done.returncode, done.stderr.strip()
