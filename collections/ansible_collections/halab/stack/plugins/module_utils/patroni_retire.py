# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a cluster leaves Patroni: paused, its members stopped, its keys removed, and then PostgreSQL stopped too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import Api, PatroniError, await_none, leader_of
from ansible_collections.halab.stack.plugins.module_utils.patroni_dcs import Dcs

Run = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a command and returns its exit code, output and errors, as AnsibleModule.run_command does."""

_ETCD_S = 30.0
_STATUS_NOT_RUNNING = 3
_STATUS_NO_DATA = 4
"""Exit codes of C(pg_ctl status)."""


class Retirement:
    """Ends this host's member. Every step that is done already is passed over, so that a killed run can be repeated."""

    def __init__(self, parameters: Mapping[str, Any], run: Run, *, check_mode: bool) -> None:
        self.parameters = parameters
        self.run = run
        self.check_mode = check_mode
        self.until: float = time.monotonic() + parameters["within_s"]

    def detach(self) -> list[str]:
        """Let Patroni go, and PostgreSQL go on. Raises PatroniError."""
        if not os.path.exists(self.parameters["configuration_file"]):
            return []
        done = []
        if self._active():
            done += self._pause()
            done.append(f"stopped {self.parameters['service']}")
            if not self.check_mode:
                self._systemctl("disable", "--now")
        return done + self._remove_keys()

    def stop(self) -> list[str]:
        """Stop PostgreSQL and forget the member. Raises PatroniError, also while Patroni runs."""
        if self._active() and not self.check_mode:
            raise PatroniError(
                f"{self.parameters['service']} runs on this host and would start PostgreSQL again; detach it"
            )
        done = []
        if self._pg_ctl("status")[0] not in (_STATUS_NOT_RUNNING, _STATUS_NO_DATA):
            done.append("stopped PostgreSQL")
            if not self.check_mode:
                code, _, err = self._pg_ctl("stop", "--mode=fast", f"--timeout={int(self._left())}")
                if code != 0:
                    raise PatroniError(f"pg_ctl stop: {err.strip()}")
        if os.path.exists(self.parameters["configuration_file"]):
            done.append(f"removed {self.parameters['configuration_file']}")
            if not self.check_mode:
                os.remove(self.parameters["configuration_file"])
        return done

    def _pause(self) -> list[str]:
        api, endpoints = Api.of(self.parameters), self.parameters["endpoints"]
        answering = [status for status in api.statuses(endpoints) if status.reachable]
        if not answering or all(status.answer.get("pause") for status in answering):
            return []
        if self.check_mode:
            return ["paused"]
        # Every member asks for the same, and whoever comes first does it.
        api.send("PATCH", leader_of(answering).endpoint, "/config", {"pause": True})

        def missing() -> str:
            return "; ".join(
                status.in_words()
                for status in api.statuses(endpoints)
                if status.reachable and not status.answer.get("pause")
            )

        await_none(missing, within_s=self._left(), what="every member to be paused")
        return ["paused"]

    def _remove_keys(self) -> list[str]:
        dcs = Dcs.of(self.parameters)
        if dcs.empty(within_s=_ETCD_S):
            return []
        if self.check_mode:
            return ["removed the keys"]

        def missing() -> str:
            # A member that still runs would write its keys again; its own run of this module stops it.
            if lives := dcs.alive(within_s=_ETCD_S):
                return lives
            dcs.remove(within_s=_ETCD_S)
            return ""

        await_none(missing, within_s=self._left(), what="the leases of the cluster's members to run out")
        return ["removed the keys"]

    def _active(self) -> bool:
        _, out, _ = self.run(["systemctl", "is-active", self.parameters["service"]])
        return str(out).strip() in ("active", "activating", "reloading", "deactivating")

    def _systemctl(self, *words: str) -> None:
        code, _, err = self.run(["systemctl", *words, self.parameters["service"]])
        if code != 0:
            raise PatroniError(f"systemctl {' '.join(words)} {self.parameters['service']}: {err.strip()}")

    def _pg_ctl(self, *words: str) -> tuple[int, str, str]:
        program = [f"{self.parameters['bin_directory']}/pg_ctl", "--pgdata", self.parameters["data_directory"]]
        return self.run(["runuser", "--user", self.parameters["system_user"], "--", *program, *words])

    def _left(self) -> float:
        return max(self.until - time.monotonic(), 1.0)
