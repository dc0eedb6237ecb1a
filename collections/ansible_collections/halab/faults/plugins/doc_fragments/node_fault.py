# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that every fault on the machine itself has."""

from __future__ import annotations


class ModuleDocFragment:
    """The fault contract, with the ledger where a machine keeps its own."""

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
      - Seconds, up to 86400, after which the machine heals the fault, whatever became of Ansible and the network.
      - Counted on the monotonic clock from before the injection. Required for O(state=injected).
    type: int
  ledger_dir:
    description: Folder of the ledger, on the machine that runs the module. Made with mode 0700 when missing.
    type: path
    default: /var/lib/halab/ledger
  cluster:
    description: Name of the cluster that the fault belongs to, so that it can be healed with others of that cluster.
    type: str
    default: ''
  run:
    description: Name of the run that the fault belongs to.
    type: str
    default: ''
"""
