# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Taking a fault back by its ledger entry: one procedure for modules and for the guardian, so that they never meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.clock import Stamp
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.probes import await_all, run

LOCK_MARGIN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Healing:
    """What happened to an id. `changed` is false when the ledger did not have it; `problem` is empty on success."""

    id: str
    changed: bool
    fault: str = ""
    target: str = ""
    run: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    evidence: tuple[str, ...] = field(default_factory=tuple)
    healed_at: Stamp | None = None
    gone_at: Stamp | None = None
    healed_by: str = ""
    problem: str = ""

    def dump(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "fault": self.fault,
            "target": self.target,
            "run": self.run,
            "commands": [list(argv) for argv in self.commands],
            "evidence": list(self.evidence),
            "healed_at": self.healed_at.dump() if self.healed_at else None,
            "gone_at": self.gone_at.dump() if self.gone_at else None,
            "healed_by": self.healed_by,
        }


def heal(ledger: Ledger, entry_id: str, *, by: str) -> Healing:
    """Undo the entry, verify that its effect is gone, remove it. Waits for another process that is at it already.

    Raises LedgerError when the entry cannot be read or its lock is held for minutes.
    """
    with ledger.lock(entry_id, within_s=LOCK_MARGIN_S):
        return heal_locked(ledger, entry_id, by=by)


def heal_locked(ledger: Ledger, entry_id: str, *, by: str) -> Healing:
    """As `heal`, for a caller that holds the lock."""
    entry = ledger.read(entry_id)
    if entry is None:
        return _healed_before(ledger, entry_id)
    done: list[tuple[str, ...]] = []
    for argv in entry.undo:
        code, out, err = run(argv)
        if code != 0:
            problem = (
                f"`{' '.join(argv)}` failed with code {code}: {err or out}. The ledger keeps {ledger.path(entry_id)}."
            )
            return Healing(
                id=entry.id,
                changed=bool(done),
                fault=entry.fault,
                target=entry.target,
                run=entry.run,
                commands=tuple(done),
                problem=problem,
            )
        done.append(argv)
    healed_at = Stamp.now()
    gone, evidence = await_all(entry.gone, within_s=entry.gone_within_s)
    healing = Healing(
        id=entry.id,
        changed=True,
        fault=entry.fault,
        target=entry.target,
        run=entry.run,
        commands=tuple(done),
        evidence=tuple(evidence),
        healed_at=healed_at,
        gone_at=Stamp.now() if gone else None,
        healed_by=by,
        problem="" if gone else f"not gone within {entry.gone_within_s:g} s of the heal: {'; '.join(evidence)}",
    )
    if gone:
        ledger.journal(healing.dump())
        ledger.remove(entry_id)
        # A guardian that was killed could not take its mark away.
        (ledger.directory / f".{entry_id}.guardian").unlink(missing_ok=True)
    return healing


def healed_before(ledger: Ledger, *, entry_id: str | None = None, run: str | None = None) -> list[Healing]:
    """What the journal remembers of an id, or of a run's faults; the newest healing of each id."""
    newest = {
        str(record["id"]): record
        for record in ledger.journalled()
        if entry_id in (None, record.get("id")) and run in (None, record.get("run", ""))
    }
    return [_remembered(record) for record in newest.values()]


def _healed_before(ledger: Ledger, entry_id: str) -> Healing:
    record = ledger.last_healed(entry_id)
    return Healing(id=entry_id, changed=False) if record is None else _remembered(record)


def _remembered(record: Mapping[str, Any]) -> Healing:
    return Healing(
        id=str(record["id"]),
        changed=False,
        fault=record["fault"],
        target=record["target"],
        run=record.get("run", ""),
        evidence=tuple(record["evidence"]),
        healed_at=Stamp.load(record["healed_at"]),
        gone_at=Stamp.load(record["gone_at"]),
        healed_by=record["healed_by"],
    )
