# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nftables statements of a cut.

The table sees packets as they are on the wire: arriving ones before connection tracking and address translation
(prerouting), leaving ones after both (postrouting). Who is cut stands in sets whose members the kernel drops when their
time is up.

A packet that a filter drops on its way out is reported to its sender: UDP gets EPERM, TCP takes it as never sent. A
cable tells nothing. So a leaving packet is marked, and a chain at the device's egress sends its frame to the device's
own hardware address: it leaves as any other and no switch delivers it, because none sends a frame back where it came
from. Packets to be refused (reject, reset) are to be reported, so they are at the output hook.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.halab.faults.plugins.module_utils import nft
from ansible_collections.halab.faults.plugins.module_utils.net import Connection
from ansible_collections.halab.faults.plugins.module_utils.partition_cut import PROOF, Cut, version

# Before the raw table of others (-300); a later cut comes before an earlier one, and so sees what it is to prove.
_FIRST_IN = -310
_LAST_OUT = 400
_MOST_RANKS = 90
_MARK = 0x68616C61
_NEW = "tcp flags & (fin | syn | rst | ack) == syn"
_ADDRESS = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


def statements(cut: Cut, *, kept: list[Connection], devices: Mapping[str, str], rank: int, comment: str) -> list[str]:
    """The table without members in its cutting sets. `kept` are connections that must go on; `devices` are those with
    an egress hook, by name with their hardware address; `rank` is the number of cuts that act already."""
    table = cut.table
    found = [f'add table inet {table} {{ comment "{comment}"; }}']
    for family in cut.families:
        found += _sets(cut, family, kept)
    found += _chain_in(cut, kept, min(rank, _MOST_RANKS))
    if cut.outwards:
        found += _chain_out(cut, kept, devices, min(rank, _MOST_RANKS))
        if cut.action == "drop" and devices:
            found += _egress(table, devices)
    return found


def families(cut: Cut, devices: Mapping[str, str]) -> tuple[str, ...]:
    """Families of nftables in which the cut has a table."""
    return ("inet", "netdev") if cut.outwards and cut.action == "drop" and devices else ("inet",)


def _sets(cut: Cut, family: int, kept: list[Connection]) -> list[str]:
    table, kind = cut.table, _ADDRESS[family][1]
    members = f"{kind} . inet_service . inet_service" if cut.connections == "established" else kind
    found = [f"add set inet {table} {name}{family} {{ type {members}; flags timeout; counter; }}" for name in cut.sets]
    peers = [peer for peer in cut.peers if version(peer) == family]
    if peers:
        found.append(f"add set inet {table} heard{family} {{ type {kind}; counter; }}")
        found.append(nft.elements(table, f"heard{family}", peers))
    spared = [f"{one.remote} . {one.remote_port} . {one.local_port}" for one in kept if version(one.remote) == family]
    if spared:
        found.append(f"add set inet {table} ssh{family} {{ type {kind} . inet_service . inet_service; }}")
        found.append(nft.elements(table, f"ssh{family}", spared))
    return found


def _chain_in(cut: Cut, kept: list[Connection], rank: int) -> list[str]:
    rule = f"add rule inet {cut.table} arriving"
    chain = f"{{ type filter hook prerouting priority {_FIRST_IN - rank}; policy accept; }}"
    found = [f"add chain inet {cut.table} arriving {chain}", f'{rule} iifname "lo" accept']
    found += [f"{rule} {_own_way(family, 'saddr', 'sport', 'dport', 'ssh')} accept" for family in _versions(kept)]
    found += [f"{rule} {passing} accept" for passing in (*_passing(cut), _PROOFS)]
    found += [f"{rule} tcp ackseq {PROOF + 1} {_ADDRESS[family][0]} saddr @heard{family}" for family in _of_peers(cut)]
    if cut.inwards:
        found += [f"{rule} {match}" for match in _matches(cut, "in", dropped="drop")]
    return found


def _chain_out(cut: Cut, kept: list[Connection], devices: Mapping[str, str], rank: int) -> list[str]:
    rule = f"add rule inet {cut.table} leaving"
    hook = "postrouting" if cut.action == "drop" else "output"
    found = [
        f"add chain inet {cut.table} leaving {{ type filter hook {hook} priority {_LAST_OUT - rank}; policy accept; }}",
        f'{rule} oifname "lo" accept',
    ]
    found += [f"{rule} {_own_way(family, 'daddr', 'dport', 'sport', 'ssh')} accept" for family in _versions(kept)]
    found += [f"{rule} {passing} accept" for passing in (*_passing(cut), _PROOFS, _ANSWERS)]
    if cut.action == "drop":
        found += _lost(cut.table, devices)
    elif cut.inwards:
        # Our own refusals of what arrives must reach the peer.
        found += [f"{rule} {refusal} accept" for refusal in _OUR_REFUSALS]
    return found + [f"{rule} {match}" for match in _matches(cut, "out", dropped="jump lost")]


_OUR_REFUSALS = (
    "tcp flags & rst == rst",
    "icmp type destination-unreachable",
    "icmpv6 type destination-unreachable",
)
_PROOFS = f"tcp sequence {{ {PROOF}, {PROOF + 1} }} tcp flags & (fin | psh) == 0"
_ANSWERS = f"tcp ackseq {PROOF + 1} tcp flags & (syn | rst) != 0"


def _lost(table: str, devices: Mapping[str, str]) -> list[str]:
    found = [f"add chain inet {table} lost"]
    if devices:
        names = ", ".join(f'"{device}"' for device in sorted(devices))
        found.append(f"add rule inet {table} lost oifname {{ {names} }} meta mark set {_MARK} accept")
    return [*found, f"add rule inet {table} lost drop"]


def _egress(table: str, devices: Mapping[str, str]) -> list[str]:
    found = [f"add table netdev {table}"]
    for number, (device, address) in enumerate(sorted(devices.items())):
        chain = f'{{ type filter hook egress device "{device}" priority 0; policy accept; }}'
        found.append(f"add chain netdev {table} egress{number} {chain}")
        found.append(f"add rule netdev {table} egress{number} meta mark {_MARK} ether daddr set {address}")
    return found


def _verdicts(cut: Cut, dropped: str) -> dict[str, str]:
    """What becomes of a packet, by the transport that it must have for that."""
    if cut.protocol != "all":
        refused = _UNREACHABLE if cut.action == "reject" else _RESET
        return {f"meta l4proto {cut.protocol}": dropped if cut.action == "drop" else refused}
    if cut.action == "reset":
        return {"meta l4proto tcp": _RESET, f"meta l4proto {'udp' if cut.ports else '!= tcp'}": _UNREACHABLE}
    whole = "meta l4proto { tcp, udp }" if cut.ports else ""
    return {whole: dropped if cut.action == "drop" else _UNREACHABLE}


def _matches(cut: Cut, way: str, *, dropped: str) -> list[str]:
    """Rules of one way, the set with its counters last, so that it counts only what is cut."""
    what = [_NEW] if cut.connections == "new" else []
    if cut.connections == "established":
        ends: list[list[str]] = [[]]
        looked = [_own_way(family, *_WAYS[way], way) for family in cut.families]
    else:
        ports = ", ".join(str(port) for port in cut.ports)
        ends = [[f"th {_END[way, side]} {{ {ports} }}"] for side in cut.sides] or [[]]
        looked = [f"{_ADDRESS[family][0]} {_WAYS[way][0]} @{way}{family}" for family in cut.families]
    return [
        " ".join(part for part in (transport, *what, *end, look, verdict) if part)
        for transport, verdict in _verdicts(cut, dropped).items()
        for end in ends
        for look in looked
    ]


_RESET = "reject with tcp reset"
_UNREACHABLE = "reject with icmpx type port-unreachable"
_WAYS = {"in": ("saddr", "sport", "dport"), "out": ("daddr", "dport", "sport")}
_END = {("in", "theirs"): "sport", ("in", "ours"): "dport", ("out", "theirs"): "dport", ("out", "ours"): "sport"}


def _own_way(family: int, address: str, theirs: str, ours: str, name: str) -> str:
    return f"{_ADDRESS[family][0]} {address} . tcp {theirs} . tcp {ours} @{name}{family}"


def _passing(cut: Cut) -> tuple[str, ...]:
    """IPv6 finds neighbours by the packets that a cut would drop; IPv4 does it by ARP, which no cut of ours touches."""
    if 6 in cut.families and cut.protocol == "all" and not cut.ports:
        return ("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }",)
    return ()


def _versions(kept: list[Connection]) -> list[int]:
    return sorted({version(one.remote) for one in kept})


def _of_peers(cut: Cut) -> list[int]:
    return sorted({version(peer) for peer in cut.peers})
