# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action: tell when the steps of a fault happened."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.halab.faults.plugins.module_utils.clock import Stamp

STEPS = ("planned", "injected", "observed", "healed", "gone")


class ActionModule(ActionBase):  # type: ignore[misc]
    """Turns ages into instants."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        now = Stamp.now()
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(
            {
                "ago": {"type": "dict", "required": True},
                "evidence": {"type": "list", "elements": "str", "default": []},
            }
        )
        instants = {f"{step}_at": now.later(-_age(step, given)).dump() for step, given in arguments["ago"].items()}
        return {**result, "changed": False, **instants, "evidence": arguments["evidence"]}


def _age(step: str, given: Any) -> float:
    if step not in STEPS:
        raise AnsibleActionFail(f"ago.{step} = {given!r}: is not a step of a fault. Use {', '.join(STEPS)}.")
    try:
        age = float(given)
    except (TypeError, ValueError):
        age = -1.0
    if not 0 <= age < float("inf"):
        raise AnsibleActionFail(f"ago.{step} = {given!r}: is not an age in seconds. Give a number from 0.")
    return age
