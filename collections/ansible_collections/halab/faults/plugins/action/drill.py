# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action: run a scenario and say what was kept."""

from __future__ import annotations

import ctypes
import io
import os
import signal
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ARGUMENTS = {
    "scenario": {"type": "str", "required": True},
    "allow_destructive": {"type": "str", "default": ""},
    "seed": {"type": "int"},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Calls the driver in this process; its progress goes to Ansible's display as it comes."""

    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _spec, arguments = self.validate_argument_spec(ARGUMENTS)
        try:
            from halab.driver.prepare import Request, plan
            from halab.errors import HalabError
        except ImportError as error:
            raise AnsibleActionFail(
                f"the Python package halab cannot be imported ({error}). Run ansible-playbook of the environment that "
                "`make setup` makes."
            ) from error
        request = Request(
            inventory=_inventory(task_vars or {}),
            command="ansible-playbook",
            **{name: arguments[name] for name in ARGUMENTS},
        )
        # Ansible gives its workers an input that does not block, and refuses to start on such a one.
        os.set_blocking(0, True)
        _end_with_ansible()
        try:
            if self._task.check_mode:
                lines = plan(request)
                Display().display("\n".join(lines))
                return {**result, "changed": False, "plan": lines}
            return {**result, **_carry_out(request)}
        except (HalabError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error


def _end_with_ansible() -> None:
    """Ask Linux for a SIGTERM, at which the driver heals, when Ansible is killed: its workers would go on alone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _carry_out(request: Any) -> dict[str, Any]:
    from halab.driver.drill import drill
    from halab.driver.progress import PlainProgress
    from halab.report import terminal

    display = Display()
    outcome = drill(request, PlainProgress(display.display))
    verdicts = io.StringIO()
    terminal.summary(outcome.folder, stream=verdicts)
    display.display(verdicts.getvalue().rstrip())
    kept = outcome.exit_code == 0
    words = {0: "every promise was kept", 1: "a promise was broken", 2: "not all was proven", 130: "interrupted"}
    return {
        "changed": True,
        "failed": not kept,
        "msg": f"{outcome.status}: {words.get(outcome.exit_code, 'ended')}. Report: {outcome.folder}/report.html",
        "run": outcome.run,
        "folder": str(outcome.folder),
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "problems": list(outcome.problems),
    }


def _inventory(task_vars: dict[str, Any]) -> str:
    sources = [str(source) for source in task_vars.get("ansible_inventory_sources") or []]
    if len(sources) != 1:
        raise AnsibleActionFail(
            f"inventory = {sources}: a drill is about one cluster. Give exactly one -i, a file or a folder."
        )
    return sources[0]
