# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options and results that every fault has."""

from __future__ import annotations


class ModuleDocFragment:
    """The fault contract: an id, a state and a time to live. Its ledger is another fragment's."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(injected) brings the fault about, proves its effect and leaves a guardian that heals it after O(ttl) seconds.
      - V(healed) undoes what the ledger holds under O(id) and proves that the effect is gone, whatever else is given.
    type: str
    choices: [injected, healed]
    default: injected
  id:
    description: Name of this fault in the ledger. Letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  ttl:
    description:
      - Seconds, up to 86400, after which the fault is healed, whatever became of Ansible, the driver and the network.
      - Counted on the monotonic clock from before the injection. Required for O(state=injected).
    type: int
  cluster:
    description: Name of the cluster that the fault belongs to, so that it can be healed with others of that cluster.
    type: str
    default: ''
  run:
    description: Name of the run that the fault belongs to.
    type: str
    default: ''
"""
