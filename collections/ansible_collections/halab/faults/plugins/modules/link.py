#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: the link to other machines is slow, lossy or narrow."""

from __future__ import annotations

DOCUMENTATION = r"""
module: link
short_description: Delay, lose, duplicate, corrupt, reorder or slow down packets
version_added: 0.1.0
author: The halab authors
description:
  - Impairs the IPv4 traffic of this machine with named peers, or with everybody but the controller, and measures on
    this machine what became of its own probes between the wire and a program. Less than asked fails as not observed.
  - The connection by which Ansible came and the loopback device are never impaired.
  - Figures mean what they mean to tc-netem(8), whichever mechanism is used.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  peers:
    description:
      - IPv4 addresses of the other ends. Each has a link of its own, with its own O(rate_kbit) and its own bursts.
      - Empty is everybody but the controller and O(spare), over one link.
    type: list
    elements: str
    default: []
  ports:
    description:
      - Only TCP and UDP packets from or to these ports, of either end. Empty is all packets, also of other protocols.
    type: list
    elements: int
    default: []
  direction:
    description:
      - V(in) impairs packets that arrive here, V(out) those that leave. V(both) impairs each direction with all that is
        asked for, so that a round trip is delayed twice.
    type: str
    choices: [in, out, both]
    default: in
  delay_ms:
    description: Milliseconds, 1 to 10000, by which every packet is late.
    type: float
    default: 0
  jitter_ms:
    description:
      - Milliseconds, up to O(delay_ms). A packet is late by any time from O(delay_ms) minus this to O(delay_ms) plus
        this, each as likely. Packets closer together than that overtake each other, as with netem.
    type: float
    default: 0
  loss:
    description: Percentage of packets that are lost, 0.1 to 100.
    type: float
    default: 0
  burst:
    description:
      - Mean number of packets lost in a row, 1 or more, by Gilbert's model. V(0) loses each packet independently.
    type: float
    default: 0
  duplicate:
    description: Percentage of packets that arrive twice, 0.1 to 100.
    type: float
    default: 0
  corrupt:
    description:
      - Percentage of packets, 0.1 to 100, in which one bit behind the IP header is wrong. TCP and UDP notice by their
        checksums.
    type: float
    default: 0
  reorder:
    description: Percentage of packets, 0.1 to below 100, that are not delayed, so overtake others. Needs O(delay_ms).
    type: float
    default: 0
  rate_kbit:
    description:
      - Kilobits (1000 bits) that pass in a second, 32 to 100000, with O(ports) to 4000. What waits longer than half a
        second behind others is lost.
    type: float
    default: 0
  mechanism:
    description:
      - V(netem) uses queueing disciplines of the kernel, which it must have. The device of the traffic must have none
        of its own, for V(out) no root and for V(in) no ingress. O(duplicate) works with one peer. Any bit may be wrong
        after O(corrupt), so that packets with a wrong header are lost.
      - V(nfqueue) hands packets to a process of this collection, by an nftables table of its own. When the process
        ends, however it ends, packets pass as if nothing had been there; the kernel hands none over after O(ttl).
      - V(auto) is V(netem) where it can be, else V(nfqueue).
    type: str
    choices: [auto, netem, nfqueue]
    default: auto
  probe:
    description:
      - IPv4 addresses to measure with when O(peers) is empty. By default neighbours that this machine has spoken to.
    type: list
    elements: str
    default: []
  probe_port:
    description: TCP port, open or closed, that is asked at a peer that answers no ICMP. Without O(ports) only.
    type: int
    default: 22
  spare:
    description: IPv4 addresses that are left alone, besides the controller, when O(peers) is empty.
    type: list
    elements: str
    default: []
notes:
  - Needs the programs C(nft) for V(nfqueue), C(tc) and C(ip) for V(netem), and CAP_NET_ADMIN and CAP_NET_RAW.
  - With V(nfqueue) single packets are judged, not the larger ones that devices make of them, except when nothing but
    a delay of incoming packets is asked for.
  - The C(ping) of iputils reads when a reply reached the device, so on this machine it sees a delay of incoming packets
    only with C(-U). Programs, and every other machine, see it.
"""

EXAMPLES = r"""
- name: A replica in another country
  halab.faults.link:
    id: far-away
    ttl: 120
    peers: [192.0.2.11, 192.0.2.12]
    delay_ms: 25
    jitter_ms: 5

- name: Only the DCS is reached over a lossy link, four packets at a time
  halab.faults.link:
    id: lossy-dcs
    ttl: 120
    peers: [192.0.2.21]
    ports: [2379, 2380]
    direction: both
    loss: 5
    burst: 4

- name: The link is as before
  halab.faults.link:
    id: far-away
    state: healed
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(link)., type: str, returned: when the fault is or was known}
target: {description: The impairment and the traffic., type: str, returned: when the fault is or was known}
active: {description: Whether the fault acts now., type: bool, returned: always}
achieved:
  description: What was measured once the fault acted.
  type: dict
  returned: when injected now
  contains:
    mechanism: {description: V(netem) or V(nfqueue)., type: str}
    asked: {description: What was asked for., type: dict}
    peers:
      description:
        - By address, C(rtt_before_ms) and C(rtt_ms) of a program on this machine, each with C(p50) and C(p95), and for
          each direction C(in) and C(out) what this machine did to C(probes) packets - C(delay_p5_ms), C(delay_p50_ms),
          C(delay_p95_ms), C(lost), C(loss_percent), C(mean_burst), C(duplicate_percent), C(corrupt_percent) and
          C(rate_kbit).
      type: dict
commands:
  description: Commands that were run, or would be in check mode.
  type: list
  elements: list
  returned: when there are any
evidence:
  description: What the last observations saw, in words.
  type: list
  elements: str
  returned: when there are any
planned_at:
  description: The instant before the first command, a dictionary of C(monotonic_ns), C(boot_id) and C(wall).
  type: dict
  returned: when injected now
injected_at: {description: The instant after the last command., type: dict, returned: when injected now}
observed_at: {description: The instant at which the effect had been verified., type: dict, returned: when injected now}
expires_at: {description: When the guardian heals the fault., type: dict, returned: when injected}
healed_at: {description: When the heal had been carried out., type: dict, returned: when it is known to be healed}
gone_at:
  description: When the absence of the effect had been verified.
  type: dict
  returned: when it is known to be healed
healed_by: {description: V(module) or V(guardian)., type: str, returned: when it is known to be healed}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act
from ansible_collections.halab.faults.plugins.module_utils.link_plan import DIRECTIONS, plan_of

FIGURES = ("delay_ms", "jitter_ms", "loss", "burst", "duplicate", "corrupt", "reorder", "rate_kbit")


def main() -> None:
    figure: dict[str, Any] = {"type": "float", "default": 0}
    addresses: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "peers": addresses,
            "ports": {"type": "list", "elements": "int", "default": []},
            "direction": {"type": "str", "choices": list(DIRECTIONS), "default": "in"},
            **dict.fromkeys(FIGURES, figure),
            "mechanism": {"type": "str", "choices": ["auto", "netem", "nfqueue"], "default": "auto"},
            "probe": addresses,
            "probe_port": {"type": "int", "default": 22},
            "spare": addresses,
        },
        required_if=[("state", "injected", ["ttl"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
