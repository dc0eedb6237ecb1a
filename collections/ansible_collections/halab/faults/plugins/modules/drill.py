#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: drill
short_description: Run a scenario and say what was kept
version_added: 0.1.0
author: The halab authors
description:
  - Runs a scenario of halab on the inventory of this play, as C(halab chaos) does, with the same run folder and
    verdicts.
  - Checks that the cluster is healthy, records real clients, carries out the faults, heals them in any case, waits
    until the cluster is whole again and judges the record.
  - Creates and provisions the machines first where halab owns them and they do not exist yet.
  - Fails unless every promise was kept.
  - Needs the Python package halab in the environment of Ansible, and one inventory.
extends_documentation_fragment: [halab.faults.attributes]
attributes:
  check_mode: {support: full, details: Returns the plan and touches nothing.}
  diff_mode: {support: none, details: What it changes is in the run folder.}
  idempotent: {support: none, details: Each run is a new one.}
options:
  scenario:
    description: Name of a scenario of the repository, or path of a file.
    type: str
    required: true
  allow_destructive:
    description: Name of the cluster that may be broken, where halab does not own its machines.
    type: str
    default: ''
  seed:
    description: Number that decides what is drawn by chance. Without it one is chosen and kept in the run folder.
    type: int
notes:
  - Interrupting Ansible heals the faults that are acting.
"""

EXAMPLES = r"""
- name: The primary fails under load
  halab.faults.drill:
    scenario: primary-failure
"""

RETURN = r"""
run: {description: Name of the run., type: str, returned: when it was carried out}
folder: {description: Its folder., type: str, returned: when it was carried out}
status: {description: 'V(VALID), V(INVALID) or V(UNKNOWN).', type: str, returned: when it was carried out}
exit_code: {description: '0 kept, 1 broken, 2 not proven.', type: int, returned: when it was carried out}
plan: {description: What would be done., type: list, elements: str, returned: in check mode}
"""
