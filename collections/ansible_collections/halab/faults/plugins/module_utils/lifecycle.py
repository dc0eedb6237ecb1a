# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The life of a fault, one for all: observe, plan, write the undo, arm the self-heal, inject, verify, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import boot, guardian
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.clock import Stamp
from ansible_collections.halab.faults.plugins.module_utils.healing import LOCK_MARGIN_S, Healing, heal, heal_locked
from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv, Entry, Ledger
from ansible_collections.halab.faults.plugins.module_utils.probes import Probe, await_all, run

_BEFORE_WITHIN_S = 3.0


class FaultError(Exception):
    """A fault is refused or failed; the text says what is so now and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A fault as data.

    `inject` and `undo` are commands run in order; `undo` must be harmless when there is nothing to undo. The probes
    `observed` prove the effect within `observed_within_s` seconds, the probes `gone` its absence, before the injection
    and within `gone_within_s` seconds of the heal.

    `parts` are the agent's modules whose commands occur in it. `exclusive` names what no two faults may act on at once;
    by default the kind of fault with its target. `outlives_boot`: the effect stays when the machine restarts,
    so it is refused where nothing would take it back then.
    `measure` is called once the effect is proven; what it returns is the result's `achieved`.
    """

    id: str
    fault: str
    target: str
    ttl_s: int
    inject: tuple[Argv, ...]
    undo: tuple[Argv, ...]
    observed: tuple[Probe, ...]
    gone: tuple[Probe, ...]
    observed_within_s: float
    gone_within_s: float
    cluster: str = ""
    run: str = ""
    parts: tuple[str, ...] = ()
    exclusive: str = ""
    outlives_boot: bool = False
    measure: Callable[[], Mapping[str, Any]] | None = field(default=None, compare=False)

    def entry(self, created: Stamp) -> Entry:
        return Entry(
            id=self.id,
            fault=self.fault,
            target=self.target,
            created=created,
            expires=created.later(self.ttl_s),
            undo=self.undo,
            gone=self.gone,
            gone_within_s=self.gone_within_s,
            cluster=self.cluster,
            run=self.run,
            exclusive=self.claim,
        )

    @property
    def claim(self) -> str:
        """What no other fault may act on meanwhile."""
        return self.exclusive or f"{self.fault} {self.target}"


def inject(plan: Plan, ledger: Ledger, *, check_mode: bool = False) -> dict[str, Any]:
    """Bring the fault about and prove it; returns a module's result. An active fault stays as it is.

    Raises FaultError when it is refused (nothing was changed) or not observed (it was undone), LedgerError, OSError.
    """
    agent = Agent(ledger.directory, plan.parts)
    if check_mode:
        with agent.borrowed():
            return _judge(plan, ledger, check_mode=True) or _planned(plan)
    with ledger.lock(plan.id, within_s=LOCK_MARGIN_S):
        agent.install()
        unchanged = _judge(plan, ledger, check_mode=False)
        if unchanged is not None:
            return unchanged
        entry = plan.entry(Stamp.now())
        ledger.write(entry)
        try:
            # Also for what ends with the power: its entry must not outlive it.
            boot.arm(ledger, agent.argv("sweep", str(ledger.directory)))
            guardian.arm(ledger, entry, agent.argv("guard", str(ledger.directory), entry.id))
        except BaseException:
            # Nothing was injected yet, so there is nothing to undo.
            ledger.remove(entry.id)
            boot.disarm_when_empty(ledger)
            raise
        return _carry_out(plan, entry, ledger)


def heal_one(ledger: Ledger, entry_id: str, *, check_mode: bool = False) -> dict[str, Any]:
    """Undo one entry; returns a module's result. Raises FaultError when it could not be healed, LedgerError."""
    if check_mode:
        entry = ledger.read(entry_id)
        commands = [list(argv) for argv in entry.undo] if entry else []
        return _result(entry_id, "healed", changed=entry is not None, commands=commands)
    healing = heal(ledger, entry_id, by="module")
    boot.disarm_when_empty(ledger)
    if healing.problem:
        raise FaultError(f"{entry_id} was not healed: {healing.problem}")
    return _healed(healing)


def _judge(plan: Plan, ledger: Ledger, *, check_mode: bool) -> dict[str, Any] | None:
    """The result when the fault is active already, None when it may be injected. Raises FaultError when neither."""
    present = ledger.read(plan.id)
    if present is not None:
        result = _active(plan, present)
        if not check_mode and not guardian.alive(ledger, plan.id):
            agent = Agent(ledger.directory, plan.parts)
            guardian.arm(ledger, present, agent.argv("guard", str(ledger.directory), present.id))
        return result
    if plan.outlives_boot and boot.impossible():
        raise FaultError(f"{plan.fault} on {plan.target}: {boot.impossible()}. Nothing was changed.")
    for other in ledger.contents().entries:
        if other.exclusive == plan.claim:
            raise FaultError(
                f"target = {plan.target!r}: fault {other.id} ({other.fault} on {other.target}) is acting on it until "
                f"{other.expires.wall}. Heal that first."
            )
    untouched, evidence = await_all(plan.gone, within_s=_BEFORE_WITHIN_S)
    if not untouched:
        raise FaultError(
            f"target = {plan.target!r}: is not as it must be before this fault ({'; '.join(evidence)}), and no fault "
            "in the ledger explains it. Mend the machine first. Nothing was changed."
        )
    return None


def _active(plan: Plan, entry: Entry) -> dict[str, Any]:
    if (entry.fault, entry.target) != (plan.fault, plan.target):
        raise FaultError(
            f"id = {plan.id!r}: is in use by fault {entry.fault} on {entry.target}. Choose another id or heal it first."
        )
    acting, evidence = await_all(plan.observed, within_s=0)
    if not acting:
        raise FaultError(
            f"id = {plan.id!r}: is in the ledger, but its effect is not there ({'; '.join(evidence)}). Heal it first."
        )
    return _result(
        plan.id,
        "injected",
        changed=False,
        fault=plan.fault,
        target=plan.target,
        expires_at=entry.expires.dump(),
        evidence=evidence,
    )


def _carry_out(plan: Plan, entry: Entry, ledger: Ledger) -> dict[str, Any]:
    planned_at = Stamp.now()
    problem = _run_all(plan.inject)
    injected_at = Stamp.now()
    evidence: list[str] = []
    if not problem:
        # While the lock is held nobody heals, so that proving must not outlive the fault.
        within_s = min(plan.observed_within_s, entry.expires.remaining_s())
        acting, evidence = await_all(plan.observed, within_s=within_s)
        observed_at = Stamp.now()
        if acting:
            achieved: dict[str, Any] = {"achieved": dict(plan.measure())} if plan.measure else {}
            return _result(
                plan.id,
                "injected",
                changed=True,
                fault=plan.fault,
                target=plan.target,
                commands=[list(argv) for argv in plan.inject],
                evidence=evidence,
                planned_at=planned_at.dump(),
                injected_at=injected_at.dump(),
                observed_at=observed_at.dump(),
                expires_at=entry.expires.dump(),
                diff=_diff(plan),
                **achieved,
            )
        problem = f"not observed within {within_s:g} s: {'; '.join(evidence)}"
    healing = heal_locked(ledger, plan.id, by="module")
    boot.disarm_when_empty(ledger)
    after = f"It could not be undone either: {healing.problem}" if healing.problem else "It was undone."
    raise FaultError(f"{plan.fault} on {plan.target}: {problem}. {after}")


def _run_all(commands: Sequence[Argv]) -> str:
    for argv in commands:
        code, out, err = run(argv)
        if code != 0:
            return f"`{' '.join(argv)}` failed with code {code}: {err or out}"
    return ""


def _planned(plan: Plan) -> dict[str, Any]:
    commands = [list(argv) for argv in plan.inject]
    return _result(
        plan.id,
        "injected",
        changed=True,
        fault=plan.fault,
        target=plan.target,
        commands=commands,
        diff=_diff(plan),
        active=False,
    )


def _healed(healing: Healing) -> dict[str, Any]:
    told = healing.dump()
    diff = (
        {"before": f"{healing.fault} on {healing.target}\n", "after": ""}
        if healing.changed
        else {"before": "", "after": ""}
    )
    return _result(told.pop("id"), "healed", changed=healing.changed, diff=diff, **told)


def _diff(plan: Plan) -> dict[str, str]:
    return {"before": "", "after": f"{plan.fault} on {plan.target} for {plan.ttl_s} s at most\n"}


def _result(entry_id: str, state: str, *, changed: bool, active: bool | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": entry_id,
        "state": state,
        "changed": changed,
        "active": state == "injected" if active is None else active,
        **more,
    }
