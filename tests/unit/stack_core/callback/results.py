"""Callback plugin of the tests: every task's result as JSON at the end, as ansible.posix.json prints it."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: stdout
short_description: Results of all tasks as JSON
description: Prints one JSON document at the end.
"""


class CallbackModule(CallbackBase):
    """Results reach callbacks with secrets already taken out."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "results"

    def __init__(self) -> None:
        super().__init__()
        self._tasks: list[dict[str, Any]] = []

    def _keep(self, result: Any, *, failed: bool) -> None:
        name, host = result._task.get_name(), result._host.get_name()
        said = json.loads(self._dump_results(result._result, indent=0, keep_invocation=True))
        self._tasks.append({"task": {"name": name}, "hosts": {host: {"failed": failed, **said}}})

    def v2_runner_on_ok(self, result: Any) -> None:
        self._keep(result, failed=False)

    v2_runner_on_skipped = v2_runner_on_ok

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002
        self._keep(result, failed=True)

    def v2_playbook_on_stats(self, _stats: Any) -> None:
        self._display.display(json.dumps({"plays": [{"tasks": self._tasks}]}, indent=4))
