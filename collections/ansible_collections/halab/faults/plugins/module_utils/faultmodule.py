# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module of a fault on its own machine shares: the contract's parameters, and their way to the lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.ledger import NODE_DIRECTORY, Ledger, LedgerError, checked_id
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan, heal_one, inject

MOST_TTL_S = 86400

FAULT_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "state": {"type": "str", "choices": ["injected", "healed"], "default": "injected"},
    "id": {"type": "str", "required": True},
    "ttl": {"type": "int"},
    "ledger_dir": {"type": "path", "default": NODE_DIRECTORY},
    "cluster": {"type": "str", "default": ""},
    "run": {"type": "str", "default": ""},
}


def act(module: AnsibleModule, plan_of: Callable[[Mapping[str, Any]], Plan]) -> None:
    """Carry out a module's request and end it. `plan_of` makes the plan from its parameters, changing nothing.

    `plan_of` may raise FaultError, LedgerError, OSError or ValueError; each becomes the module's message. It is not
    called to heal: the ledger alone says how.
    """
    parameters = module.params
    ledger = Ledger(Path(parameters["ledger_dir"]))
    try:
        checked_id(parameters["id"])
        if parameters["state"] == "healed":
            module.exit_json(**heal_one(ledger, parameters["id"], check_mode=module.check_mode))
        check_ttl(parameters["ttl"])
        module.exit_json(**inject(plan_of(parameters), ledger, check_mode=module.check_mode))
    except (FaultError, LedgerError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))


def check_ttl(ttl_s: int | None) -> None:
    """Raises FaultError unless a fault may live for `ttl_s` seconds."""
    if ttl_s is None:
        raise FaultError("ttl: is missing. Give the seconds after which the fault heals itself.")
    if not 1 <= ttl_s <= MOST_TTL_S:
        raise FaultError(
            f"ttl = {ttl_s}: is not a number of seconds from 1 to {MOST_TTL_S}. "
            "Give the time after which the fault heals itself. Nothing was changed."
        )


def common(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's parameters in the names of Plan."""
    return {
        "id": parameters["id"],
        "ttl_s": parameters["ttl"],
        "cluster": parameters["cluster"],
        "run": parameters["run"],
    }
