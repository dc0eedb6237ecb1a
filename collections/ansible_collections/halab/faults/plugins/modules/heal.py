#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: undo what the ledger holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: heal
short_description: Heal faults by their ledger
version_added: 0.1.0
author: The halab authors
description:
  - Undoes entries of the ledger, proves that each effect is gone and removes the entry.
  - Shares a lock with the guardians, so that nothing is healed twice.
  - Goes on after a failure and fails in the end, naming every entry that is left.
  - With O(id) or O(run) it also returns what was healed earlier, by its guardian for example, as the journal of the
    ledger remembers it.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  id:
    description: Heal this fault only.
    type: str
  run:
    description: Heal the faults of this run only.
    type: str
  cluster:
    description: Heal the faults of this cluster only.
    type: str
"""

EXAMPLES = r"""
- name: Everything of this cluster
  halab.faults.heal:
    ledger_dir: ~/.local/state/halab/lab/ledger
    cluster: lab
"""

RETURN = r"""
healed:
  description: What was healed, or would be in check mode; with O(id) or O(run) also what was healed before.
  returned: always
  type: list
  elements: dict
  contains:
    id: {description: Name of the fault., type: str}
    fault: {description: Its kind., type: str}
    target: {description: What it acted on., type: str}
    run: {description: Run it belongs to., type: str}
    commands: {description: Commands that undid it., type: list, elements: list}
    evidence: {description: What the last observations saw., type: list, elements: str}
    healed_at: {description: When the heal had been carried out., type: dict}
    gone_at: {description: When the absence of the effect had been verified., type: dict}
    healed_by: {description: V(module) or V(guardian)., type: str}
failed:
  description: What could not be healed, in words.
  returned: always
  type: list
  elements: str
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils import boot
from ansible_collections.halab.faults.plugins.module_utils.healing import Healing, heal, healed_before
from ansible_collections.halab.faults.plugins.module_utils.ledger import NODE_DIRECTORY, Entry, Ledger, LedgerError


def chosen(entry: Entry, parameters: dict[str, Any]) -> bool:
    return all(parameters[key] in (None, getattr(entry, key)) for key in ("id", "run", "cluster"))


def healed(ledger: Ledger, entry: Entry) -> Healing:
    try:
        return heal(ledger, entry.id, by="module")
    except (LedgerError, OSError) as error:
        return Healing(id=entry.id, changed=False, problem=str(error))


def earlier(ledger: Ledger, entries: list[Entry], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """What the journal remembers of the asked id or run and is not in the ledger any more."""
    if parameters["id"] is None and parameters["run"] is None:
        return []
    present = {entry.id for entry in entries}
    found = healed_before(ledger, entry_id=parameters["id"], run=parameters["run"])
    return [healing.dump() for healing in found if healing.id not in present]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ledger_dir": {"type": "path", "default": NODE_DIRECTORY},
            "id": {"type": "str"},
            "run": {"type": "str"},
            "cluster": {"type": "str"},
        },
        supports_check_mode=True,
    )
    ledger = Ledger(Path(module.params["ledger_dir"]))
    contents = ledger.contents()
    entries = [entry for entry in contents.entries if chosen(entry, module.params)]
    remembered = earlier(ledger, entries, module.params)
    before = "".join(f"{entry.id}: {entry.fault} on {entry.target}\n" for entry in entries)
    unreadable = [str(file) for file in contents.unreadable]
    if module.check_mode:
        planned = [
            {"id": entry.id, "fault": entry.fault, "target": entry.target, "commands": entry.undo} for entry in entries
        ]
        module.exit_json(changed=bool(entries), healed=planned, failed=unreadable, diff={"before": before, "after": ""})
    with ThreadPoolExecutor(max_workers=8) as pool:
        healings = list(pool.map(lambda entry: healed(ledger, entry), entries))
    boot.disarm_when_empty(ledger)
    failed = [f"{healing.id}: {healing.problem}" for healing in healings if healing.problem] + unreadable
    result: dict[str, Any] = {
        "changed": any(healing.changed for healing in healings),
        "healed": remembered + [healing.dump() for healing in healings if not healing.problem],
        "failed": failed,
        "diff": {"before": before, "after": "".join(f"{line}\n" for line in failed)},
    }
    if failed:
        module.fail_json(msg="not everything is healed: " + "; ".join(failed), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
