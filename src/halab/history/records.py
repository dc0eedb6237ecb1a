"""The records of a run's history and their JSON form, one object a line.

All times are nanoseconds of CLOCK_MONOTONIC on the recorder's host; the header ties them to wall-clock time.
Outcomes follow Jepsen: ``ok`` happened, ``fail`` surely did not happen, ``info`` is unknown; an invocation
without a completion is unknown too. Keys that a kind does not define are kept in ``extra`` and kinds that this
version does not define are kept as `Opaque`, so that a newer recorder's history stays readable. Those that nobody
writes (`EXTRAS`, `NOTES`) make it one that proves nothing: a name that was damaged hides what it named.

They are msgspec's structures, made in a fifth and written in a tenth of the time of frozen dataclasses: a client makes
two for each of its operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from msgspec import Struct, field

VERSION: Final = 1

Json = None | bool | int | float | str | list[Any] | dict[str, Any]
IdRange = tuple[int, int]
Extra = Mapping[str, Any]
PhaseName = Literal["load-start", "load-stop", "final-start", "final-stop", "end"]
Outcome = Literal["ok", "fail", "info"]
FaultStep = Literal["planned", "injected", "observed", "healed", "gone", "failed"]


class Header(Struct, frozen=True, kw_only=True):
    """First line of a history: which run, on which host, and the wall-clock time (ISO 8601, UTC) at `t`."""

    kind: ClassVar[str] = "header"
    t: int
    run: str
    wall: str
    host: str
    version: int = VERSION
    extra: Extra | None = None


class Phase(Struct, frozen=True, kw_only=True):
    """A boundary of the run: when load and final reads began and ended; ``end`` closes a complete history."""

    kind: ClassVar[str] = "phase"
    t: int
    name: PhaseName
    extra: Extra | None = None


class Invoke(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="invoke"):
    """A client is about to send operation `op`; `process` is the logical client, retired by an unknown outcome.

    `workload` is None for the basic load (rows that are appended and counted); others are named, and may have keys.
    """

    kind: ClassVar[str] = "invoke"
    t: int
    op: int
    process: int
    client: str
    endpoint: str
    f: str
    value: Json = None
    key: Json = None
    workload: str | None = None
    extra: Extra | None = None


class Complete(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="complete"):
    """The outcome of operation `op`, with the provenance that the server gave in the same statement."""

    kind: ClassVar[str] = "complete"
    t: int
    op: int
    type: Outcome
    error: str | None = None
    value: Json = None
    server: str | None = None
    pid: int | None = None
    timeline: int | None = None
    lsn: str | None = None
    in_recovery: bool | None = None
    extra: Extra | None = None


NOT_HEALED: Final = "not_healed"


class FaultEvent(Struct, frozen=True, kw_only=True):
    """A step in the life of a fault.

    ``planned`` is written just before the fault is carried out, ``injected`` when the injection returned, ``observed``
    when its effect was verified, ``healed`` when the healing returned, ``gone`` when its absence was verified,
    ``failed`` when it could not be carried out or, where its detail has NOT_HEALED, healed.
    """

    kind: ClassVar[str] = "fault"
    t: int
    id: str
    fault: str
    target: str
    event: FaultStep
    detail: Extra = field(default_factory=dict)
    extra: Extra | None = None


class Observation(Struct, frozen=True, kw_only=True):
    """What one source said about one node at some instant between `t` (asked) and `t_end` (answered)."""

    kind: ClassVar[str] = "observe"
    t: int
    t_end: int
    node: str
    source: str
    ok: bool
    error: str | None = None
    role: str | None = None
    timeline: int | None = None
    in_recovery: bool | None = None
    writable: bool | None = None
    lsn: str | None = None
    lag_bytes: int | None = None
    state: str | None = None
    extra: Extra | None = None


class FinalRead(Struct, frozen=True, kw_only=True):
    """All rows of one node after the load: count, digest in id order, ids as closed ranges, lag in seconds."""

    kind: ClassVar[str] = "final"
    t: int
    node: str
    role: str | None = None
    timeline: int | None = None
    lsn: str | None = None
    count: int | None = None
    digest: str | None = None
    ids: tuple[IdRange, ...] | None = None
    lag_s: float | None = None
    error: str | None = None
    extra: Extra | None = None


class Opaque(Struct, frozen=True, kw_only=True):
    """A record of a kind that this version does not know, kept as it was."""

    kind: str
    fields: Extra = field(default_factory=dict)


EXTRAS: Final[Mapping[str, frozenset[str]]] = {
    "complete": frozenset(
        {
            "session",  # PostgreSQL
            "source", "cache",  # a cached read, and how the cache was reached
            "run_id", "offset", "replicas", "servers",  # Redis
            "member", "term", "revision", "mod_revision", "first", "answers",  # etcd
        }
    ),
    "observe": frozenset({"sync_standby", "term", "revision", "has_leader", "lock", "errors", "master"}),
    "final": frozenset({"caught_up"}),
}  # fmt: skip
"""Keys that clients and observers put into `extra`, by kind. What is not here is taken for damage."""
NOTES: Final = frozenset({"interrupted"})
"""Kinds that the recorder writes as `Opaque`."""

Record = Header | Phase | Invoke | Complete | FaultEvent | Observation | FinalRead | Opaque
