#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: what the ledger holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: info
short_description: Read the ledger of faults
version_added: 0.1.0
author: The halab authors
description: Tells which faults may be acting on, or from, the machine that runs the module. Changes nothing.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none, details: It changes nothing.}
  idempotent: {support: full}
options:
  required_empty:
    description: Fail, naming every fault and its remedy, unless the ledger is empty.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Which faults are acting
  halab.faults.info:
    ledger_dir: ~/.local/state/halab/lab/ledger
  register: faults

- name: None is
  halab.faults.info:
    required_empty: true
"""

RETURN = r"""
entries:
  description: Entries, oldest first.
  returned: always
  type: list
  elements: dict
  contains:
    id: {description: Name of the fault., type: str}
    fault: {description: Its kind., type: str}
    target: {description: What it acts on., type: str}
    cluster: {description: Cluster it belongs to., type: str}
    run: {description: Run it belongs to., type: str}
    created: {description: When it was written., type: dict}
    expires: {description: When its guardian heals it., type: dict}
    remaining: {description: Seconds until then., type: float}
    guarded: {description: Whether its guardian runs., type: bool}
    undo: {description: Commands that undo it., type: list, elements: list}
unreadable:
  description: Files in the ledger that are no entries, with reason and remedy.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.guardian import alive
from ansible_collections.halab.faults.plugins.module_utils.ledger import NODE_DIRECTORY, Ledger


def words(entry: dict[str, Any]) -> str:
    """A fault that may be acting, and its remedy."""
    of = f" of run {entry['run']}" if entry["run"] else ""
    return (
        f"fault {entry['id']}{of} ({entry['fault']} on {entry['target']}) is in the ledger and heals itself at "
        f"{entry['expires']['wall']}; playbooks/heal.yml heals it now"
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ledger_dir": {"type": "path", "default": NODE_DIRECTORY},
            "required_empty": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    ledger = Ledger(Path(module.params["ledger_dir"]))
    contents = ledger.contents()
    unreadable = [str(file) for file in contents.unreadable]
    entries = [
        {**entry.dump(), "remaining": round(entry.expires.remaining_s(), 1), "guarded": alive(ledger, entry.id)}
        for entry in contents.entries
    ]
    if module.params["required_empty"] and (entries or unreadable):
        found = "; ".join([*map(words, entries), *unreadable])
        module.fail_json(msg=found, changed=False, entries=entries, unreadable=unreadable)
    module.exit_json(changed=False, entries=entries, unreadable=unreadable)


if __name__ == "__main__":
    main()
