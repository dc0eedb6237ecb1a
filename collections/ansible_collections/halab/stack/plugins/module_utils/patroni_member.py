# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Patroni of this host: what it is, its service, and how to wait for it."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import (
    Api,
    PatroniError,
    PatroniSilentError,
    Status,
    await_none,
)
from ansible_collections.halab.stack.plugins.module_utils.patroni_dcs import (
    Dcs,
    foreign_reason,
    local_identifier,
)

Run = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a command and returns its exit code, output and errors, as AnsibleModule.run_command does."""

_JOURNAL_LINES = 15
_ETCD_S = 30.0
"""Seconds for etcd to answer: it serves before this role begins, so only an election is worth waiting for."""


def refuse_another(parameters: Mapping[str, Any]) -> None:
    """Raise PatroniError when the host's file tells of another member than the declared one."""
    try:
        with open(parameters["configuration_file"], encoding="utf-8") as stream:
            now = identity(stream.read())
    except FileNotFoundError:
        return
    for key, value in now.items():
        declared = parameters["data_directory" if key == "data_dir" else key]
        if declared.rstrip("/") != value.rstrip("/"):
            raise PatroniError(
                f"patroni_{key} = {declared or 'empty'}: this host is a member with {key} {value or 'none'}, and that "
                f"cannot be changed in place (a new major version of PostgreSQL needs an upgrade); set it back, or "
                f"remove the member first"
            )


def identity(text: str) -> dict[str, str]:
    """Return what makes a member this one, from the text of the file that the role writes."""
    found = re.findall(r"^ *(name|scope|namespace|group|data_dir): (\S+)$", text, re.MULTILINE)
    known = {key: value.strip("\"'") for key, value in found}
    # A cluster without Citus has no group, which is as lasting as a number.
    return {"group": "", **known} if known else {}


class Member:
    """This host's member: its service, its REST API and its cluster's keys in etcd."""

    def __init__(self, parameters: Mapping[str, Any], run: Run, *, check_mode: bool) -> None:
        self.parameters = parameters
        self.run = run
        self.check_mode = check_mode
        self.until: float = time.monotonic() + parameters["within_s"]

    @cached_property
    def api(self) -> Api:
        """The REST API of this member. Raises PatroniError when the certificates are unusable."""
        return Api.of(self.parameters)

    def start(self) -> dict[str, Any]:
        """Run the service and wait until the member serves. Raises PatroniError."""
        changed = self._unit("is-active") != "active" or self._unit("is-enabled") != "enabled"
        if changed and self.check_mode:
            # On a new host not even the certificates are there yet.
            return _outcome(
                Status(self.parameters["endpoint"], "not started in check mode"), changed=True, formed=False
            )
        formed = changed and self._start_service()
        status = self.api.status(self.parameters["endpoint"]) if self.check_mode else self._serving()
        return _outcome(status, changed=changed, formed=formed)

    def reload(self) -> dict[str, Any]:
        """Make Patroni read its files and wait until it has, where it runs. Raises PatroniError."""
        if self._unit("is-active") != "active":
            # One that is started later reads them then.
            return _outcome(Status(self.parameters["endpoint"], "does not run"), changed=False, formed=False)
        if not self.check_mode:
            self._reload()
            # Patroni looks whether its certificate is another one only when its configuration is not (seen with 4.0.7).
            if self._shows_an_old_certificate():
                self._reload()
        return _outcome(self.api.status(self.parameters["endpoint"]), changed=True, formed=False)

    def _reload(self) -> None:
        self._systemctl("reload")
        self.api.await_loop([self.parameters["endpoint"]], within_s=self._left())

    def _shows_an_old_certificate(self) -> bool:
        endpoint = self.parameters["endpoint"]
        if not endpoint.startswith("https:"):
            return False
        with open(self.parameters["cert_file"], encoding="ascii") as stream:
            first = stream.read().partition("-----END CERTIFICATE-----")
        return self._shown_certificate(endpoint) != ssl.PEM_cert_to_DER_cert("".join(first[:2]))

    def _shown_certificate(self, endpoint: str) -> bytes:
        shown = b""

        def missing() -> str:
            nonlocal shown
            try:
                shown = self.api.certificate(endpoint)
            except PatroniSilentError as error:
                return str(error)
            return ""

        await_none(missing, within_s=self._left(), what=f"{endpoint} to show its certificate")
        return shown

    def _start_service(self) -> bool:
        """Start the service as soon as it may be; return whether this member has to initialize the cluster."""
        dcs = Dcs.of(self.parameters)
        state = dcs.read(within_s=min(self._left(), _ETCD_S))
        identifier = self._identifier()
        members = {member["name"]: member["address"] for member in self.parameters["members"]}
        if reason := foreign_reason(state, members, identifier):
            raise PatroniError(
                f"patroni_scope = {self.parameters['scope']}: {reason}; give this cluster another scope, "
                "or remove the other one (patronictl remove) if it is gone for good"
            )
        fresh = not state.initialized and identifier is None
        first = next(iter(members)) == self.parameters["name"]
        if fresh and not first:
            self._await_initialization(dcs, next(iter(members)))
        self._systemctl("enable", "--now")
        return fresh and first

    def _await_initialization(self, dcs: Dcs, first: str) -> None:
        def missing() -> str:
            return (
                ""
                if dcs.read(within_s=min(self._left(), _ETCD_S)).initialized
                else "the cluster does not exist in etcd"
            )

        await_none(missing, within_s=self._left(), what=f"{first}, the first member, to initialize the cluster")

    def _serving(self) -> Status:
        last = Status(self.parameters["endpoint"], "not asked")

        def missing() -> str:
            nonlocal last
            last = self.api.status(self.parameters["endpoint"])
            if last.leads or last.streams:
                return ""
            if self._unit("is-active") in ("failed", "inactive"):
                raise PatroniError(f"the service {self.parameters['service']} has ended")
            return last.in_words()

        try:
            await_none(missing, within_s=self._left(), what=f"{self.parameters['name']} to lead or to stream")
        except PatroniError as error:
            raise PatroniError(f"{error}{self._journal()}") from error
        return last

    def _identifier(self) -> str | None:
        program = f"{self.parameters['bin_directory']}/pg_controldata"
        code, out, _ = self.run(["env", "LC_ALL=C", program, "-D", self.parameters["data_directory"]])
        return local_identifier(out) if code == 0 else None

    def _left(self) -> float:
        return max(self.until - time.monotonic(), 0.1)

    def _unit(self, question: str) -> str:
        _, out, _ = self.run(["systemctl", question, self.parameters["service"]])
        return str(out).strip()

    def _systemctl(self, *words: str) -> None:
        code, _, err = self.run(["systemctl", *words, self.parameters["service"]])
        if code != 0:
            raise PatroniError(
                f"systemctl {' '.join(words)} {self.parameters['service']}: {err.strip()}{self._journal()}"
            )

    def _journal(self) -> str:
        command = ["journalctl", "--unit", self.parameters["service"], "--lines", str(_JOURNAL_LINES)]
        _, out, _ = self.run([*command, "--output", "cat", "--no-pager", "--quiet"])
        return f"\nlast lines of its journal:\n{out.strip()}"


def _outcome(status: Status, *, changed: bool, formed: bool) -> dict[str, Any]:
    running = status.leads or status.streams
    return {
        "changed": changed,
        "leads": status.leads,
        "formed": formed,
        "running": running,
        "timeline": status.timeline,
    }
