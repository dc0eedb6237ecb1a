"""Work: tasks of a queue that workers claim, keep alive and finish, or are found dead over and lose to another.

A claim skips rows that are being claimed (`FOR UPDATE SKIP LOCKED`), and carries a number that no other claim has:
calls under a claim that has passed to somebody else find no row and change nothing. A finish makes the task's effect
in the same statement; the table of effects has no key, so that nothing but this fencing makes it happen once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Row
from halab.history import Json
from halab.workloads.actor import FINAL, IDS_PER_CLIENT, OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.routes import WHO, WRITE, SqlActor

CREATE: Final = "create"
BACKLOG: Final = "backlog"
CLAIM: Final = "claim"
HEARTBEAT: Final = "heartbeat"
FINISH: Final = "finish"
GIVE_BACK: Final = "give_back"
FENCED: Final = "fenced"
MOST_HEARTBEATS: Final = 3
SHARE_GIVEN_BACK: Final = 0.05
DEAD_FOR: Final = 1.5
"""After so many leases a worker that was taken for dead wakes up and tries to finish."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A task that this client was given; `since` is of the monotonic clock, in seconds."""

    task: int
    number: int
    since: float

    @property
    def value(self) -> Json:
        return {"task": self.task, "claim": self.number}


class _Queue(SqlActor):
    """What coordinators and workers do to the table of tasks."""

    def __init__(self, setting: Setting, *, client: int) -> None:
        super().__init__(setting)
        name = setting.suite.name
        lease = setting.parameters["lease"]
        self._client = client
        self._claims = 0
        self._statements = {
            f: text.format(tasks=f"{name}.tasks", effects=f"{name}.effects", who=WHO, lease=lease)
            for f, text in _STATEMENTS.items()
        }

    def new_claim(self) -> Call:
        """A claim with a number of its own: what it gets is not known yet."""
        self._claims += 1
        return Call(CLAIM, value=self._client * IDS_PER_CLIENT + self._claims)

    def claim(self, number: int) -> tuple[Answer, _Claim | None]:
        """The task that was free, or that another did not keep alive; None where there is none."""
        rows = self._run(CLAIM, number, self._client)
        if not rows:
            return Answer(value=None), None
        [(*who, task, stale)] = rows
        taken: Json = {"task": task, "takes_over": stale}
        return self.answered(taken, tuple(who)), _Claim(task, number, time.monotonic())

    def under(self, call: Call) -> Answer:
        """A call that a claim entitles to. Raises OperationFailed where the claim is no longer that of the task."""
        asked: Any = call.value
        rows = self._run(call.f, asked["task"], asked["claim"])
        if not rows:
            words = f"claim {asked['claim']} of task {asked['task']} is no longer in force"
            raise OperationFailed("fail", FENCED, words, reached=True)
        return self.answered(None, rows[0])

    def _run(self, f: str, *parameters: object) -> list[Row]:
        return self.connection.run_prepared(f"work_{f}", self._statements[f], parameters, within_s=OPERATION_WITHIN_S)


class Client(_Queue):
    """The first few make tasks while too few are waiting; all others work. One that is alone does both."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, client=setting.number + 1)
        self._chance = setting.chance("work")
        self._lease = float(setting.parameters["lease"])
        self._forsaken = float(setting.parameters["forsaken"])
        self._most = setting.parameters["backlog"]
        self._coordinates = setting.number < setting.parameters["coordinators"]
        self._works = not self._coordinates or setting.clients == 1
        self._task = self._client * IDS_PER_CLIENT
        self._backlog = 0
        self._held: _Claim | None = None
        self._beats = 0
        self._dead: list[_Claim] = []

    def next(self) -> Call:
        if self._coordinates and self._backlog < self._most:
            self._task += 1
            return Call(CREATE, value=self._task)
        return self._work() if self._works else Call(BACKLOG)

    def call(self, call: Call) -> Answer:
        if call.f in (CREATE, BACKLOG):
            [(*who, backlog)] = self._run(call.f, *([call.value] if call.f == CREATE else []))
            self._backlog = backlog
            return self.answered(backlog, tuple(who))
        if call.f == CLAIM:
            answer, self._held = self.claim(int(call.value))
            self._plan()
            return answer
        if call.f != HEARTBEAT:
            # Whatever comes of it, the claim is not used again: what did not happen is another's to take over.
            self._held = None
            self._backlog -= call.f == FINISH
        try:
            return self.under(call)
        except OperationFailed as error:
            if error.error_class == FENCED:
                self._held = None
            raise

    def _plan(self) -> None:
        """Decide on what becomes of the claim just made."""
        self._beats = self._chance.randint(0, MOST_HEARTBEATS)
        if self._held is not None and self._chance.random() < self._forsaken:
            self._dead.append(self._held)
            self._held = None

    def _work(self) -> Call:
        if self._held is None:
            if self._dead and time.monotonic() - self._dead[0].since > DEAD_FOR * self._lease:
                return Call(FINISH, value=self._dead.pop(0).value)
            return self.new_claim()
        if self._beats:
            self._beats -= 1
            return Call(HEARTBEAT, value=self._held.value)
        given_back = self._chance.random() < SHARE_GIVEN_BACK
        return Call(GIVE_BACK if given_back else FINISH, value=self._held.value)


class Last(_Queue):
    """Does after the load what is left to do, and looks at all effects. A claim that is still alive is waited for."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, client=0)
        self._held: _Claim | None = None
        self._left = [Call(FINAL)]
        self._drained = False

    def next(self) -> Call | None:
        if self._held is not None:
            held, self._held = self._held, None
            return Call(FINISH, value=held.value)
        if not self._drained:
            return self.new_claim()
        return self._left.pop() if self._left else None

    def call(self, call: Call) -> Answer:
        if call.f == FINISH:
            return self._finish(call)
        if call.f == FINAL:
            [(*who, effects, again, unfinished)] = self._run(FINAL)
            seen: Json = {"effects": effects, "again": again, "unfinished": unfinished}
            return self.answered(seen, tuple(who))
        answer, self._held = self.claim(int(call.value))
        if self._held is None:
            [(*_, left)] = self._run(BACKLOG)
            if left:
                raise OperationFailed("fail", "leased", f"{left} tasks are claimed still", reached=True)
            self._drained = True
        return answer

    def _finish(self, call: Call) -> Answer:
        """Says False of a claim that is not in force, as it is once an earlier attempt has finished unheard."""
        try:
            return self.under(call)
        except OperationFailed as error:
            if error.error_class == FENCED:
                return Answer(value=False)
            raise


_STATEMENTS: Final = {
    CREATE: """
        INSERT INTO {tasks} (id) VALUES ($1)
        RETURNING {who}, (SELECT count(*) FROM {tasks} WHERE state <> 'done') + 1""",
    BACKLOG: "SELECT {who}, (SELECT count(*) FROM {tasks} WHERE state <> 'done')",
    CLAIM: """
        WITH free AS (
            SELECT id, state = 'claimed' AS stale FROM {tasks}
            WHERE state <> 'done'
              AND (state = 'free' OR alive < clock_timestamp() - make_interval(secs => {lease}))
            ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
        UPDATE {tasks} AS task SET state = 'claimed', claim = $1, worker = $2, alive = clock_timestamp()
        FROM free WHERE task.id = free.id
        RETURNING {who}, task.id, free.stale""",
    HEARTBEAT: """
        UPDATE {tasks} SET alive = clock_timestamp() WHERE id = $1 AND claim = $2 AND state = 'claimed'
        RETURNING {who}""",
    GIVE_BACK: """
        UPDATE {tasks} SET state = 'free' WHERE id = $1 AND claim = $2 AND state = 'claimed' RETURNING {who}""",
    FINISH: """
        WITH done AS (
            UPDATE {tasks} SET state = 'done' WHERE id = $1 AND claim = $2 AND state = 'claimed' RETURNING id, claim)
        INSERT INTO {effects} (task, claim) SELECT id, claim FROM done RETURNING {who}""",
    # Ranges of neighbouring numbers: the effects of an hour are a handful of them.
    FINAL: """
        WITH counts AS (SELECT task, count(*) AS times FROM {effects} GROUP BY task),
             ranges AS (SELECT min(task) AS first, max(task) AS last
                        FROM (SELECT task, task - row_number() OVER (ORDER BY task) AS gap FROM counts) AS numbered
                        GROUP BY gap)
        SELECT {who},
            (SELECT coalesce(json_agg(json_build_array(first, last) ORDER BY first), '[]') FROM ranges),
            (SELECT coalesce(json_agg(json_build_array(task, times)), '[]') FROM counts WHERE times > 1),
            (SELECT coalesce(json_agg(id ORDER BY id), '[]') FROM {tasks} WHERE state <> 'done')""",
}


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001 (they do not depend on any)
    return (
        """CREATE TABLE {name}.tasks (
            id bigint PRIMARY KEY,
            state text NOT NULL DEFAULT 'free' CHECK (state IN ('free', 'claimed', 'done')),
            claim bigint,
            worker int,
            alive timestamptz)""",
        "CREATE INDEX ON {name}.tasks (id) WHERE state <> 'done'",
        "CREATE TABLE {name}.effects (task bigint NOT NULL, claim bigint NOT NULL)",
    )


WORKLOAD: Final = Workload(
    name="work",
    words="hands tasks to workers, some of which stop giving signs of life",
    kinds=(CREATE, CLAIM, HEARTBEAT, FINISH),
    writes=(CREATE, HEARTBEAT, FINISH, GIVE_BACK),
    routes=WRITE,
    actor=Client,
    resolver=Last,
    tables=_tables,
    parameters={
        "coordinators": Parameter(words="how many clients make tasks", default=1, smallest=1, largest=64),
        "backlog": Parameter(words="with so many tasks waiting no more are made", default=50, smallest=1, largest=1000),
        "lease": Parameter(
            words="seconds without a sign of life after which a task is another's", default=3.0, smallest=0.1,
            largest=600,
        ),
        "forsaken": Parameter(words="share of claims that are not kept alive", default=0.1, largest=0.9),
        "clock_error": Parameter(
            words="seconds that the clocks of two servers may differ by", default=0.1, largest=600
        ),
    },
)  # fmt: skip
