# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A cut from peers as data, for the module that plans it and for the commands that keep and prove it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import nft

# Initial sequence number of the packets by which a cut is proven. Every cut of ours lets them and their answers pass,
# so that two machines that are cut from each other can both still prove it; no other traffic has it but by 2^-32.
PROOF = 0x68616C62


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What this machine no longer exchanges with whom.

    `peers` must be shown to be cut; `shared` are cut as well, but may be anybody's at any time. `existing` are the
    connections (peer, its port, our port) that a cut of established ones is about. Times: CLOCK_MONOTONIC nanoseconds
    for `deadline_ns`, milliseconds for a flapping cut's `period_ms` and its cut part `on_ms`; 0 when it does not flap.
    """

    program: str
    table: str
    peers: tuple[str, ...]
    shared: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    port_side: str = "both"
    protocol: str = "all"
    direction: str = "both"
    connections: str = "all"
    action: str = "drop"
    existing: tuple[tuple[str, int, int], ...] = ()
    ssh_port: int = 22
    deadline_ns: int = 0
    period_ms: int = 0
    on_ms: int = 0

    @property
    def inwards(self) -> bool:
        return self.direction in ("in", "both")

    @property
    def outwards(self) -> bool:
        return self.direction in ("out", "both")

    @property
    def sides(self) -> tuple[str, ...]:
        """Ends of a connection at which a port is looked for; none when ports do not matter."""
        if not self.ports:
            return ()
        return ("theirs", "ours") if self.port_side == "both" else (self.port_side,)

    @property
    def families(self) -> tuple[int, ...]:
        """4 and 6, as far as there are such addresses."""
        addresses = (*self.peers, *self.shared)
        return tuple(number for number in (4, 6) if any(version(address) == number for address in addresses))

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets whose members are cut, without their family."""
        return (*(("in",) if self.inwards else ()), *(("out",) if self.outwards else ()))

    def members(self, family: int) -> list[str]:
        """What the sets of a family hold while the cut acts."""
        if self.connections == "established":
            return [f"{peer} . {theirs} . {ours}" for peer, theirs, ours in self.existing if version(peer) == family]
        return [address for address in dict.fromkeys((*self.peers, *self.shared)) if version(address) == family]

    def acting(self, timeout_ms: int) -> Iterable[str]:
        """Statements by which the cut acts until the kernel ends it after `timeout_ms` milliseconds."""
        return [
            nft.elements(self.table, f"{name}{family}", members, timeout_ms=timeout_ms)
            for name in self.sets
            for family in self.families
            if (members := self.members(family))
        ]

    def dump(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> Cut:
        data: dict[str, Any] = json.loads(text)
        known = {field.name: data[field.name] for field in fields(cls)}
        for name in ("peers", "shared", "ports"):
            known[name] = tuple(known[name])
        known["existing"] = tuple((str(peer), int(theirs), int(ours)) for peer, theirs, ours in known["existing"])
        return cls(**known)


def version(address: str) -> int:
    return 6 if ":" in address else 4
