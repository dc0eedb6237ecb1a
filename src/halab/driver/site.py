"""A cluster in the driver's hand: its inventory, its playbooks, the lock that makes its users take turns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halab.driver import ledger
from halab.driver.consent import Ownership, ownership
from halab.driver.events import TaskEvent
from halab.driver.locks import Lock, holder
from halab.driver.progress import Progress
from halab.driver.runner import PlayResult, Plays
from halab.errors import InputError, Problem
from halab.inventory import Cluster, load, repository
from halab.inventory.source import read_inventory


@dataclass(frozen=True, slots=True)
class Site:
    """`cluster` is without passwords, which exist only once it was provisioned; `variables` are those of each host."""

    inventory: Path
    cluster: Cluster
    ownership: Ownership
    plays: Plays
    variables: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def made(self) -> bool:
        """Whether the machines, where they are halab's, were created and provisioned."""
        state = self.cluster.state_dir
        return not self.ownership.owned or all((state / name).exists() for name in ("lab.json", "secrets.yml"))

    @property
    def lock_path(self) -> Path:
        # Beside the state folder: that is removed with the lab, while the lock is held.
        state = self.cluster.state_dir
        return state.parent / f".{state.name}.lock"


def open_site(inventory: str | Path, extra_vars: Mapping[str, Any] | None = None) -> Site:
    """Read an inventory, given as a path or as the name of a folder in inventories/. Raises InputError."""
    path = _found(inventory)
    cluster = load(path, credentials=False)
    logs = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "halab" / "logs" / cluster.name
    plays = Plays(root=repository(), inventory=path, logs=logs, extra_vars=extra_vars or {})
    variables = read_inventory(path).variables
    return Site(path, cluster, ownership(variables), plays, variables)


@contextmanager
def locked(site: Site, what: str, progress: Progress) -> Iterator[Lock]:
    """Hold the cluster. Tells what a holder that died left. Raises Busy."""
    lock = Lock(site.lock_path)
    left = lock.take(f"cluster {site.cluster.name}", run=what)
    if left:
        progress.note(
            f"process {left.get('pid')} died during {left.get('run')}; its lock on this cluster is taken over"
        )
    try:
        yield lock
    finally:
        lock.release()


def findings(site: Site) -> list[str]:
    """What earlier commands left behind, in words; empty when all is in order. Changes nothing."""
    said, held = holder(site.lock_path)
    found = []
    if said and held:
        found.append(f"process {said.get('pid')} is at work on this cluster: {said.get('run')}")
    elif said:
        found.append(f"process {said.get('pid')} died during {said.get('run')}; `halab heal` mends what it left")
        found += [f"it had begun: {fault}" for fault in said.get("faults") or ()]
    return found + [str(leftover) for leftover in ledger.leftovers(site.cluster)]


def require_made(site: Site) -> None:
    """Raises InputError when the machines do not exist yet, or the inventory does not say how a cluster is reached."""
    require_real(site)
    if not site.ownership.owned:
        load(site.inventory)
    if not site.made:
        problem = Problem(
            "cluster", site.cluster.name, "does not exist yet", f"Make it with `halab up -i {site.inventory}`."
        )
        raise InputError(str(site.inventory), [problem])


def require_real(site: Site) -> None:
    """Raises InputError for an example: its addresses are nobody's, and waiting for them would only take time."""
    problems = [
        Problem(
            f"ansible_host of {host.name}",
            host.address,
            "is an address for documents, which no machine has",
            f"Copy the folder and give {host.name} its real address; docs/real-clusters.md says what else is needed.",
        )
        for host in site.cluster.invented()
    ]
    if problems:
        raise InputError(str(site.inventory), problems)


def require_provision(site: Site) -> None:
    """Raises InputError for a cluster that somebody else configures, and for an example."""
    require_real(site)
    if not site.cluster.provision:
        fix = "`halab status` shows it as it is. Remove the key only where halab may configure PostgreSQL and all else."
        problem = Problem("halab_provision", "false", "says that somebody else configures this cluster", fix)
        raise InputError(str(site.inventory), [problem])


def play(site: Site, playbook: str, progress: Progress, extra_vars: Mapping[str, Any] | None = None) -> PlayResult:
    """Run a playbook of the cluster from a clean log. Raises PlayFailed."""
    site.plays.log(playbook).unlink(missing_ok=True)
    return site.plays.must(playbook, extra_vars, on_event=lambda event: tell(progress, event))


def tell(progress: Progress, event: TaskEvent) -> None:
    if event.kind == "task":
        progress.step(event.task)
    for note in event.result.get("notes", ()) if event.kind == "ok" else ():
        progress.note(str(note))


def up(site: Site, progress: Progress) -> None:
    """Create the machines where they are halab's, and provision the stack. Raises PlayFailed."""
    if site.ownership.owned:
        progress.phase("creating the machines")
        play(site, "create", progress)
    progress.phase("provisioning the stack")
    play(site, "provision", progress)


def down(site: Site, progress: Progress) -> None:
    """Remove the machines that halab made, whatever acts on them. Raises InputError or PlayFailed."""
    if not site.ownership.owned:
        problem = Problem(
            "machines", None, "are not halab's to remove", "Only an inventory of halab.lab can be taken down."
        )
        raise InputError(str(site.inventory), [problem])
    progress.phase("removing the machines")
    play(site, "destroy", progress)


def _found(inventory: str | Path) -> Path:
    given, named = Path(inventory), bool(str(inventory).strip())
    for path in (given, repository() / given, repository() / "inventories" / given) if named else ():
        if path.exists():
            return path.resolve()
    # As a path an empty name would be the folder that we are in.
    reason = "does not exist" if named else "is empty"
    known = ", ".join(sorted(path.name for path in (repository() / "inventories").iterdir()))
    raise InputError("halab", [Problem("inventory", str(inventory), reason, f"Give a path, or one of: {known}.")])
