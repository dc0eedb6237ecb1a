"""Callback: the whole result of every host's last task as JSON, into the file that HALAB_RESULTS names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: halab_results
type: notification
short_description: Results of tasks in a file
description: Writes one JSON object a line to the file that the environment variable HALAB_RESULTS names.
"""


class CallbackModule(CallbackBase):
    """Adds a line for each result as it arrives."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "halab_results"

    def _keep(self, verdict: str, result: Any) -> None:
        record = {"host": result.host.get_name(), "verdict": verdict, "result": dict(result.result)}
        with Path(os.environ["HALAB_RESULTS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._keep("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002 (Ansible's name)
        self._keep("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._keep("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._keep("skipped", result)
