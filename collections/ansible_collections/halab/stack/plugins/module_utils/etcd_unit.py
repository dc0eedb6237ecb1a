# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The systemd service of an etcd member: start it, wait for the member, and tell what its journal says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.etcd import (
    EtcdUnavailableError,
    Member,
    eventually,
    listens,
)

LOST = "has already been bootstrapped"
REMOVED = "permanently removed from the cluster"


def unit(module: AnsibleModule) -> dict[str, str]:
    """Return what systemd knows of the service."""
    names = "ActiveState,LoadState,MainPID,NeedDaemonReload,UnitFileState"
    _, out, _ = module.run_command(["systemctl", "show", "--property", names, module.params["service"]])
    return dict(line.partition("=")[::2] for line in out.splitlines())


def systemctl(module: AnsibleModule, *words: str) -> None:
    """Run systemctl, which must succeed."""
    code, _, err = module.run_command(["systemctl", *words])
    if code != 0:
        module.fail_json(msg=f"systemctl {' '.join(words)}: {err.strip()}")


def start(module: AnsibleModule, known: Mapping[str, str]) -> bool:
    """Enable and start the service where it is not, without waiting, and return whether that was needed."""
    service = module.params["service"]
    if known.get("LoadState") == "not-found" and not module.check_mode:
        module.fail_json(msg=f"there is no service {service} here; install its package")
    if known.get("NeedDaemonReload") == "yes" and not module.check_mode:
        systemctl(module, "daemon-reload")
    missing = []
    if known.get("UnitFileState") != "enabled":
        missing.append(["enable"])
    if known.get("ActiveState") not in ("active", "activating", "reloading"):
        missing.append(["start", "--no-block"])
    for words in [] if module.check_mode else missing:
        systemctl(module, *words, service)
    return bool(missing)


def await_serving(module: AnsibleModule, member: Member) -> None:
    """Return when `member` serves; end the module with the service's journal when it does not in time."""
    within_s = module.params["within_s"]

    def once() -> None:
        why = member.why_unhealthy()
        if why:
            raise EtcdUnavailableError(why)

    try:
        eventually(once, within_s=within_s)
    except EtcdUnavailableError as error:
        fail(module, f"did not serve within {within_s:g} s; last: {error}")


def await_listening(module: AnsibleModule, peer: str, *, stale: bool) -> bool:
    """Return when something listens at the URL `peer`, and whether the service was restarted for it.

    A service that runs with other settings and does not listen there is none of this cluster's members: its package
    has started it on a new machine.
    """
    restarted = stale and not listens(peer, within_s=module.params["deadline_s"])
    if restarted:
        systemctl(module, "restart", "--no-block", module.params["service"])

    def once() -> None:
        if not listens(peer, within_s=module.params["deadline_s"]):
            raise EtcdUnavailableError(f"nothing listens at {peer}")

    try:
        eventually(once, within_s=module.params["within_s"])
    except EtcdUnavailableError as error:
        fail(module, f"did not start within {module.params['within_s']:g} s: {error}")
    return restarted


def trouble(line: str) -> str:
    """Return what a line of the journal tells of trouble, empty when it tells of none."""
    try:
        told = json.loads(line)
    except ValueError:
        return line
    if not isinstance(told, dict) or told.get("level") not in ("error", "fatal", "panic"):
        return ""
    return ": ".join(str(told[key]) for key in ("msg", "error") if told.get(key))


def fail(module: AnsibleModule, why: str) -> NoReturn:
    """End with what happened and what the service's journal tells of it."""
    service = module.params["service"]
    _, out, _ = module.run_command(["journalctl", "--unit", service, "--lines", "200", "--no-pager", "--output", "cat"])
    told = [words for words in map(trouble, out.splitlines()) if words][-6:]
    if any(LOST in words for words in told):
        why += (
            ". The cluster knows this member, but its data is gone, and too few of the others served to put a new one "
            "in its place: mend those and run again"
        )
    # A warning only: to etcd this is an orderly end.
    if REMOVED in out:
        why += ". The cluster has removed this member: move its data directory away, and it joins as a new one"
    module.fail_json(msg="\n".join([f"{service} {why}. Its journal ends:", *told]))
    raise AssertionError("fail_json ends the program")
