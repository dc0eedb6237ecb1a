# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of a cut that run on the machine itself: keep it flapping, prove that it acts, see that it is gone.

The proof is made of packets, in three parts. The kernel counted packets of each way in the very rules that cut them. A
peer answered packets that the cut lets pass, so there is somebody to be cut from. Attempts to connect failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.halab.faults.plugins.module_utils import injector, nft
from ansible_collections.halab.faults.plugins.module_utils import partition_probe as probe
from ansible_collections.halab.faults.plugins.module_utils.partition_cut import PROOF, Cut

_ANSWER_WITHIN_S = 0.3
_POLL_S = 0.02
_LEAST_ON_MS = 20
_DISCARD = 9


def _state(arguments: Sequence[str]) -> int:
    """CUT: say `cut` when it is proven, `unproven` when not, `over` when the kernel ended it, `open` without it."""
    cut = Cut.load(arguments[0])
    table = _acting(cut)
    if table is None:
        return _say("open", "the table is not there")
    if not any(table.counted(name) for name in cut.sets):
        return _say("over", "nobody is cut: the kernel has dropped the members of the sets")
    table = _elicit(cut, table)
    missing = unproven(cut, table)
    reached = [] if missing or cut.period_ms else _reached(cut)
    return _say("unproven" if missing or reached else "cut", *missing, *reached, *_seen(cut, table))


def _say(word: str, *evidence: str) -> int:
    sys.stdout.write("\n".join((word, *evidence)) + "\n")
    return 0


def _acting(cut: Cut) -> nft.Table | None:
    """The table; of a flapping cut, in a moment in which it acts, as far as one comes."""
    deadline = time.monotonic() + (cut.period_ms * 1.5 / 1000 if cut.period_ms else 0)
    while True:
        table = nft.read(cut.program, cut.table)
        over = time.monotonic() >= deadline or injector.expired(cut.deadline_ns)
        if table is None or over or any(table.counted(name) for name in cut.sets):
            return table
        time.sleep(_POLL_S)


def _elicit(cut: Cut, table: nft.Table) -> nft.Table:
    """Send what must be cut and what makes peers answer; return the table when it shows both, or after a while."""
    asking = _asking(cut, table)
    probe.send(asking)
    if cut.outwards:
        probe.send(_doomed(cut, table))
    if cut.protocol == "udp" and cut.outwards:
        for peer in cut.peers:
            probe.send_datagrams(peer, _pairs(cut))
    deadline = time.monotonic() + _ANSWER_WITHIN_S
    while True:
        now = nft.read(cut.program, cut.table)
        if now is None or not any(now.counted(name) for name in cut.sets):
            break
        table = now
        if not unproven(cut, table) or time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    # The peer has a half-open connection for each of these; end it.
    began = (segment for segment in asking if segment.flags == probe.SYN)
    probe.send([probe.Segment(one.peer, one.ours, one.theirs, probe.RST, PROOF + 1) for one in began])
    return table


def _pairs(cut: Cut) -> list[tuple[int, int]]:
    """Ports (ours, theirs) of packets that the cut is about."""
    if not cut.ports:
        return [(probe.any_port(), cut.ssh_port if cut.protocol != "udp" else _DISCARD)]
    if "theirs" in cut.sides:
        return [(probe.any_port(), port) for port in cut.ports]
    return [(port, cut.ssh_port) for port in cut.ports]


def _asking(cut: Cut, table: nft.Table) -> list[probe.Segment]:
    pairs = [*(_pairs(cut) if cut.protocol != "udp" else ()), (probe.any_port(), cut.ssh_port)]
    begun = [probe.Segment(peer, ours, theirs, probe.SYN, PROOF) for peer in cut.peers for ours, theirs in pairs]
    # A segment out of its window is answered at once (RFC 9293, 3.10.7.4), on a connection that exists.
    return begun + [
        probe.Segment(peer, ours, theirs, probe.ACK, PROOF, probe.any_sequence())
        for peer, theirs, ours in _existing(cut, table)
    ]


def _doomed(cut: Cut, table: nft.Table) -> list[probe.Segment]:
    if cut.connections == "established":
        return [
            probe.Segment(peer, ours, theirs, probe.ACK, probe.any_sequence(), probe.any_sequence())
            for peer, theirs, ours in _existing(cut, table)
        ]
    if cut.protocol == "udp":
        return []
    return [
        probe.Segment(peer, ours, theirs, probe.SYN, probe.any_sequence())
        for peer in cut.peers
        for ours, theirs in _pairs(cut)
    ]


def _existing(cut: Cut, table: nft.Table) -> list[tuple[str, int, int]]:
    """Connections that are cut now, as the kernel has them."""
    if cut.connections != "established":
        return []
    found = {element for name in cut.sets for half in "46" for element in table.sets.get(f"{name}{half}", {})}
    return [(peer, int(theirs), int(ours)) for peer, theirs, ours in (one.split(" . ") for one in sorted(found))]


def unproven(cut: Cut, table: nft.Table) -> list[str]:
    """What is missing to call this cut proven, in words; nothing when it is."""
    arrived, left, heard = table.counted("in"), table.counted("out"), table.counted("heard")
    alive = [peer for peer in cut.peers if heard.get(peer) or arrived.get(peer)]
    problems = [] if alive else [f"none of {', '.join(cut.peers)} answers, so there is nobody to be cut from"]
    if cut.outwards:
        unsent = [peer for peer in cut.peers if left.get(peer) == 0]
        problems += [f"no packet to {', '.join(unsent)} was cut"] if unsent else []
    if cut.inwards and cut.connections == "all" and cut.protocol != "udp":
        silent = [peer for peer in alive if arrived.get(peer) == 0]
        problems += [f"no packet from {', '.join(silent)} was cut"] if silent else []
    elif cut.direction == "in" and not any(arrived.get(peer) for peer in cut.peers):
        what = {"new": "no new connection", "established": "no packet of an existing connection"}
        problems.append(f"{what.get(cut.connections, 'no packet')} came in from a peer, so none was cut")
    return problems


def _reached(cut: Cut) -> list[str]:
    """Attempts to connect that ought to fail and did not."""
    may_pass = cut.connections == "established" or (cut.connections == "new" and not cut.outwards)
    if may_pass or cut.protocol == "udp" or cut.sides == ("ours",):
        return []
    ends = [(peer, port) for peer in cut.peers for port in cut.ports or (cut.ssh_port,)]
    outcomes = probe.connected(ends, within_s=_ANSWER_WITHIN_S)
    return [f"{peer} port {port} can be reached" for (peer, port), said in outcomes.items() if said == "connected"]


def _seen(cut: Cut, table: nft.Table) -> list[str]:
    counted = {"from it": table.counted("in"), "to it": table.counted("out")}
    ways = [way for way, wanted in (("from it", cut.inwards), ("to it", cut.outwards)) if wanted]
    answered = {**table.counted("in"), **{peer: n for peer, n in table.counted("heard").items() if n}}
    return [
        f"{peer}: packets cut: {', '.join(f'{counted[way].get(peer, 0)} {way}' for way in ways)}"
        + ("" if answered.get(peer) else "; it does not answer")
        for peer in cut.peers
    ]


def _flap(arguments: Sequence[str]) -> int:
    """CUT: cut for a part of every period until the deadline. The kernel ends each part, whatever becomes of us."""
    cut = Cut.load(arguments[0])
    due = time.monotonic_ns()
    while not injector.expired(cut.deadline_ns):
        left_ms = (cut.deadline_ns - time.monotonic_ns()) // 1_000_000
        if (on_ms := min(cut.on_ms, left_ms)) >= _LEAST_ON_MS:
            subprocess.run(nft.transaction(cut.program, cut.acting(on_ms)), stdin=subprocess.DEVNULL, check=True)
        due += cut.period_ms * 1_000_000
        time.sleep(max(0, min(due, cut.deadline_ns) - time.monotonic_ns()) / 1e9)
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "partition-state": _state,
    "partition-flap": _flap,
}
