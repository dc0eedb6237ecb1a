"""What a checker knows besides the history (expected nodes, planned load, thresholds) and the face of its promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from halab.verdict import Bound, Comparison, Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """Clients of each kind, and operations that each starts per second."""

    writers: int
    write_rate: float
    readers: int
    read_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWorkload:
    """A named workload: its clients, what each starts per second (0: as much as is answered), and its parameters.

    `kinds` are the operations without which it proves nothing; who acknowledges one of `writes` is a primary.
    """

    clients: int
    rate: float
    kinds: tuple[str, ...]
    writes: tuple[str, ...] = ()
    route: str = "write"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The plan that a history is judged against.

    `waived` are promises of workloads that the scenario takes back.
    `nodes` are the PostgreSQL nodes that must exist; `load` is the basic one, None where there is none; `faults` is how
    many faults it plans; `bounds` holds thresholds by promise name, and a promise without one has its own default.
    `interrupted` says that somebody ended the run before its plan did. `cut` says why the record ends too soon, `idle`
    that planned faults never began, both in words: `promises.judge` reads them off the history.
    """

    nodes: tuple[str, ...]
    load: PlannedLoad | None = None
    workloads: Mapping[str, PlannedWorkload] = field(default_factory=dict)
    faults: int = 0
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    waived: frozenset[str] = frozenset()
    interrupted: bool = False
    cut: str = ""
    idle: str = ""

    @property
    def early(self) -> str:
        """Why what is missing at the end of the record proves nothing, in words; empty where it does."""
        return "the run was interrupted" if self.interrupted else self.cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The face of one checker: its name in scenarios, its title in reports, and what it measures.

    `words` are the comparisons that a scenario may use, none where the promise has no threshold to choose.
    `needs_load`: without the planned load a kept promise proves nothing. `proof_stands`: a violation is evidence
    whatever the load was (a lost row is lost); without it a broken promise is not proven by a load that never ran.
    `grows`: faults make what is measured, so that without them it is not as much as was planned.
    `workload` is the workload that it judges, where that is not the basic load: promise and workload share their name.
    """

    name: str
    title: str
    unit: str
    default: Bound
    words: tuple[str, ...] = ()
    needs_load: bool = False
    proof_stands: bool = True
    grows: bool = False
    workload: str = ""

    def bound(self, context: Context) -> Bound:
        """The threshold that the scenario gives, else the promise's own."""
        return context.bounds.get(self.name, self.default)

    def judge(
        self, context: Context, measured: float, witness: str, details: Mapping[str, Any] | None = None
    ) -> Verdict:
        """VALID or INVALID, by `measured` and the threshold; UNKNOWN where a run cut short explains too little."""
        bound = self.bound(context)
        short = context.early or (context.idle if self.grows else "")
        if short and bound.is_least and not bound.holds(measured):
            return self._verdict(context, Status.UNKNOWN, measured, f"{witness} That is not all: {short}.", details)
        status = Status.VALID if bound.holds(measured) else Status.INVALID
        return self._verdict(context, status, measured, witness, details)

    def broken(
        self, context: Context, measured: float | None, witness: str, details: Mapping[str, Any] | None = None
    ) -> Verdict:
        """INVALID whatever the threshold."""
        return self._verdict(context, Status.INVALID, measured, witness, details)

    def still_open(
        self, context: Context, so_far: float, witness: str, details: Mapping[str, Any] | None = None
    ) -> Verdict:
        """INVALID, except that a record that ends before the threshold was reached proves nothing."""
        bound = self.bound(context)
        if context.early and (bound.is_least or bound.holds(so_far)):
            ended = "The run was interrupted" if context.interrupted else "The record ends"
            early = f"{witness} {ended} before the threshold was reached, so nothing is proven."
            return self._verdict(context, Status.UNKNOWN, so_far, early, details)
        return self._verdict(context, Status.INVALID, so_far, witness, details)

    def unknown(
        self, context: Context, witness: str, details: Mapping[str, Any] | None = None, measured: float | None = None
    ) -> Verdict:
        """UNKNOWN: `witness` says what is missing."""
        return self._verdict(context, Status.UNKNOWN, measured, witness, details)

    def _verdict(
        self,
        context: Context,
        status: Status,
        measured: float | None,
        witness: str,
        details: Mapping[str, Any] | None,
    ) -> Verdict:
        return Verdict(
            name=self.name,
            title=self.title,
            status=status,
            measured=measured,
            unit=self.unit,
            bound=self.bound(context),
            witness=witness,
            details=details or {},
        )


NONE = Bound(Comparison.EQUAL, 0)
"""The threshold of a promise that nothing bad is found."""
EXAMPLES = 10
"""How many examples of a violation details list; counts are always complete."""
