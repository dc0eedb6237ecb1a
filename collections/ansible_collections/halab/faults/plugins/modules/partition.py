# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a machine no longer reaches others."""

from __future__ import annotations

DOCUMENTATION = r"""
module: partition
short_description: Cut a machine from others
version_added: 0.1.0
author: The halab authors
description:
  - Cuts the machine it runs on from named peers, both ways or one way, wholly or at some ports, for new or for existing
    connections, without a word or with a refusal, for good or flapping.
  - The cut is a table of nftables of its own. Nobody else's rules are touched, and to heal is to delete that table.
  - The kernel itself ends the cut. Who is cut stands in sets whose members expire after O(ttl), so the network is whole
    again even when nothing of ours is alive any more.
  - "A cut acts on what is on the wire: before connection tracking and address translation of what arrives, after both
    for what leaves, traffic that the machine forwards for others included."
  - Dropped packets of O(direction=out) leave as if to a cable that is cut, so no sender is told. That takes an Ethernet
    device and Linux 5.16; elsewhere they are dropped all the same, but senders of UDP get an error.
  - SSH sessions of the controller and of anybody else go on, as does everything on the loopback device. The controller
    is refused as a peer.
  - The cut is proven by packets. Rules must have counted packets that they cut, at least one peer must have answered
    packets that the cut lets pass, and attempts to connect must fail.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  peers:
    description:
      - Machines to be cut from, by IPv4 or IPv6 address, or by a name that this machine can resolve.
      - Required for O(state=injected).
    type: list
    elements: str
    default: []
  shared:
    description:
      - Addresses that move between machines, such as that of a pair of balancers. They are cut as well, but nothing is
        proven about them, and it is no error when this machine holds one.
    type: list
    elements: str
    default: []
  ports:
    description: Ports that are cut. All traffic, that without ports included, when empty.
    type: list
    elements: int
    default: []
  port_side:
    description:
      - The end of a connection that has one of O(ports). V(theirs) cuts what this machine uses of the peers' services,
        V(ours) what peers use of this machine's.
    type: str
    choices: [theirs, ours, both]
    default: both
  protocol:
    description: What is cut. V(all) without O(ports) is every packet of IP; with ports it is TCP and UDP.
    type: str
    choices: [tcp, udp, all]
    default: all
  direction:
    description: V(in) cuts what comes from the peers, V(out) what goes to them.
    type: str
    choices: [in, out, both]
    default: both
  connections:
    description:
      - V(new) cuts only connections that begin. V(in) as O(direction) then means those that a peer opens, V(out) those
        that this machine opens.
      - V(established) cuts only the connections that exist now, without SSH sessions; there must be one.
      - Both need O(protocol=tcp).
    type: str
    choices: [new, established, all]
    default: all
  action:
    description:
      - V(drop) is silence.
      - V(reject) answers with "port unreachable", as a firewall. The kernel limits how many of those a peer gets.
      - V(reset) answers TCP with a reset and anything else as V(reject).
    type: str
    choices: [drop, reject, reset]
    default: drop
  flap:
    description: Cut and whole in turn, kept up by the machine itself. Each turn's cut is ended by the kernel.
    type: dict
    suboptions:
      period:
        description: Seconds of one turn, less than O(ttl).
        type: float
        required: true
      duty:
        description: Part of a turn that is cut, between 0 and 1. Neither part may be shorter than 0.2 seconds.
        type: float
        default: 0.5
  observed_within:
    description: Seconds within which the cut must be proven, twice the period of O(flap) not counted.
    type: int
    default: 10
notes:
  - A cut that is not proven in time is undone and fails.
  - What only a peer can begin can only be proven when it does. That is so for O(direction=in) with O(connections=new)
    or O(protocol=udp).
  - Packets with one certain TCP sequence number pass every cut of this module. By them machines that are cut from each
    other still prove it.
  - Needs the packages nftables and iproute2, and the capabilities CAP_NET_ADMIN and CAP_NET_RAW.
"""

EXAMPLES = r"""
- name: This machine is cut from two others for ten minutes at most
  halab.faults.partition:
    id: drill-1
    peers: [192.0.2.12, 192.0.2.13]
    ttl: 600

- name: It is whole again
  halab.faults.partition:
    id: drill-1
    state: healed

- name: Patroni here no longer reaches etcd there, and is not told
  halab.faults.partition:
    id: drill-2
    peers: [192.0.2.21, 192.0.2.22, 192.0.2.23]
    ports: [2379]
    port_side: theirs
    protocol: tcp
    ttl: 600

- name: What standbys send arrives, what they are sent does not
  halab.faults.partition:
    id: drill-3
    peers: [192.0.2.12]
    direction: out
    ttl: 600

- name: The network is gone for 3 of every 10 seconds
  halab.faults.partition:
    id: drill-4
    peers: [192.0.2.12]
    flap: {period: 10, duty: 0.3}
    ttl: 600
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(partition)., type: str, returned: when the fault is or was known}
target: {description: Who is cut from this machine and how., type: str, returned: when the fault is or was known}
active: {description: Whether the fault acts now., type: bool, returned: always}
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
expires_at: {description: When the machine heals the fault., type: dict, returned: when injected}
healed_at: {description: When the heal had been carried out., type: dict, returned: when it is known to be healed}
gone_at:
  description: When the absence of the effect had been verified.
  type: dict
  returned: when it is known to be healed
healed_by: {description: V(module) or V(guardian)., type: str, returned: when it is known to be healed}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act
from ansible_collections.halab.faults.plugins.module_utils.partition import plan_of


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "peers": {"type": "list", "elements": "str", "default": []},
            "shared": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "port_side": {"type": "str", "choices": ["theirs", "ours", "both"], "default": "both"},
            "protocol": {"type": "str", "choices": ["tcp", "udp", "all"], "default": "all"},
            "direction": {"type": "str", "choices": ["in", "out", "both"], "default": "both"},
            "connections": {"type": "str", "choices": ["new", "established", "all"], "default": "all"},
            "action": {"type": "str", "choices": ["drop", "reject", "reset"], "default": "drop"},
            "flap": {
                "type": "dict",
                "options": {
                    "period": {"type": "float", "required": True},
                    "duty": {"type": "float", "default": 0.5},
                },
            },
            "observed_within": {"type": "int", "default": 10},
        },
        required_if=[("state", "injected", ["ttl", "peers"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
