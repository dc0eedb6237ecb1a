"""Callback plugin: seconds of each role of a playbook, printed as one line of JSON at its end."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: halab_roles
type: aggregate
short_description: Seconds of each role
description: Prints one line that starts with C(ROLES) and holds a JSON object of seconds by role.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """A task lasts until the next one starts: with the linear strategy that is how a person waits."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "halab_roles"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, float] = defaultdict(float)
        self._role = ""
        self._since = 0.0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002, FBT001
        self._turn(str(task._role) if task._role else "")

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._turn(str(task._role) if task._role else "")

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        self._turn("")
        self._display.display("ROLES " + json.dumps(self._seconds))

    def _turn(self, role: str) -> None:
        now = time.monotonic()
        if self._role:
            self._seconds[self._role] += now - self._since
        self._role, self._since = role, now
