"""Undoing faults and looking whether a cluster is whole; both visit the ledger of every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halab.driver import ledger
from halab.driver.events import TaskEvent
from halab.driver.ledger import Leftover
from halab.driver.progress import Progress
from halab.driver.runner import PlayFailed, PlayResult, Plays
from halab.driver.site import Site, tell, up
from halab.errors import HalabError
from halab.inventory import Cluster
from halab.waiting import Deadline

SETTLED_WITHIN_S = 90.0


class HealFailed(HalabError):  # noqa: N818 (what happened)
    """A fault could not be undone; the text says which and why. `healed` is what was."""

    def __init__(self, text: str, healed: Sequence[Mapping[str, Any]]) -> None:
        self.healed = tuple(healed)
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a cluster: how playbooks/verify.yml ended, and the faults in the ledgers of its machines."""

    result: PlayResult
    leftovers: tuple[Leftover, ...]


def heal(plays: Plays, cluster: Cluster, progress: Progress, *, run: str | None = None) -> list[Mapping[str, Any]]:
    """Undo everything in the ledgers of controller and machines; returns what was healed.

    With `run` only the faults of that run, and those of it that their guardians have healed already are returned too.
    Raises HealFailed when something is left or a machine does not answer.
    """
    healed: list[Mapping[str, Any]] = []

    def on_event(event: TaskEvent) -> None:
        tell(progress, event)
        for entry in event.result.get("healed", ()) if event.kind != "task" else ():
            healed.append(entry)
            by = " by its guardian" if entry.get("healed_by") == "guardian" else ""
            words = f"fault {entry['id']} ({entry['fault']} on {entry['target']}) is healed{by} and seen to be gone"
            progress.fault(entry["id"], words, over=True)

    result = plays.run("heal", {"heal_run": run} if run else None, on_event=on_event)
    left = [leftover for leftover in ledger.leftovers(cluster) if run in (None, leftover.run)]
    if not result.ok or left:
        reasons = "".join(f"  {reason}\n" for reason in (*result.problems, *left))
        said = f"All that was said is in {plays.log('heal')}."
        raise HealFailed(f"not everything could be healed:\n{reasons}  {said}", healed)
    return healed


def sweep(site: Site, progress: Progress) -> None:
    """Heal what earlier runs left by the controller's own ledger, if anything. Raises HealFailed."""
    _mend(site, ledger.leftovers(site.cluster), progress)


def look(plays: Plays, progress: Progress) -> Look:
    """Whether the cluster is whole, by playbooks/verify.yml."""
    left: list[Leftover] = []

    def on_event(event: TaskEvent) -> None:
        tell(progress, event)
        if event.action == "halab.faults.info" and event.kind in ("ok", "failed"):
            left.extend(ledger.of_machine(event.host, event.result))

    return Look(plays.run("verify", on_event=on_event), tuple(left))


def require_healthy(site: Site, progress: Progress) -> None:
    """Raises PlayFailed when the cluster is not whole.

    What acts on a machine is healed first, and machines of halab that do not answer are brought up.
    """
    progress.phase("checking that the cluster is healthy")
    seen = look(site.plays, progress)
    if seen.leftovers:
        _mend(site, seen.leftovers, progress)
        seen = _settled(site.plays, progress)
    result = seen.result
    if not result.ok and result.unreachable and site.ownership.owned:
        progress.note(f"machines do not answer: {', '.join(result.unreachable)}")
        up(site, progress)
        result = look(site.plays, progress).result
    if not result.ok:
        raise PlayFailed(result, site.plays.log("verify"))


def _settled(plays: Plays, progress: Progress) -> Look:
    """The first look that finds the cluster whole, or the last: what was healed takes its time to rejoin."""
    deadline = Deadline.after(SETTLED_WITHIN_S)
    while True:
        seen = look(plays, progress)
        if seen.result.ok or deadline.expired:
            return seen


def _mend(site: Site, left: tuple[Leftover, ...], progress: Progress) -> None:
    for leftover in left:
        progress.note(f"found: {leftover}")
    if left:
        progress.phase("healing what was left behind")
        heal(site.plays, site.cluster, progress)
