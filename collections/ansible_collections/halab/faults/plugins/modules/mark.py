#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mark
short_description: Tell when the steps of a fault happened
version_added: 0.1.0
author: The halab authors
description:
  - For playbooks whose fault is carried out by a module that knows nothing of faults, such as one that asks a cluster
    to change its leader. Its result has the instants that the fault modules of this collection return by themselves.
  - Runs on the controller, changes nothing and needs no connection.
extends_documentation_fragment: [halab.faults.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none, details: It changes nothing.}
  idempotent: {support: full}
options:
  ago:
    description:
      - Seconds since each step, by its name. V(planned) is the instant before the fault, V(injected) that after it was
        carried out, V(observed) that at which its effect was seen, V(healed) that after it was taken back or was over
        by itself, V(gone) that at which the absence of its effect was seen.
    type: dict
    required: true
  evidence:
    description: What was seen, in words.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: The change begins
  halab.faults.mark:
    ago: {planned: 0}

- name: Change
  ansible.builtin.command: site-change
  register: change

- name: It began and was seen at its end
  halab.faults.mark:
    ago: {injected: 1.5, observed: 0}
    evidence: ["{{ change.stdout }}"]
"""

RETURN = r"""
planned_at:
  description: The instant, a dictionary of C(monotonic_ns), C(boot_id) and C(wall).
  type: dict
  returned: when given
injected_at: {description: Likewise., type: dict, returned: when given}
observed_at: {description: Likewise., type: dict, returned: when given}
healed_at: {description: Likewise., type: dict, returned: when given}
gone_at: {description: Likewise., type: dict, returned: when given}
evidence: {description: What was seen., type: list, elements: str, returned: always}
"""
