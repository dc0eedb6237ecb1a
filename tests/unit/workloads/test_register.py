"""Registers on a real server, judged; what is said of one that changes rows; and that only a primary may answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from tests.unit.workloads.single import actors, behind, failure, failure_when_killed, next_of

from halab.clients.outcome import OperationFailed
from halab.verdict import Status
from halab.waiting import eventually
from halab.workloads.actor import Actor, Call
from halab.workloads.catalogue import workload
from halab.workloads.keys import Keys


def test_registers_of_a_healthy_server_are_linearizable(run):
    ran = run("register", operations=100, keys=2, uses=60)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    done = ran.history.workloads["register"]
    assert {operation.invoke.f for operation in done if operation.outcome == "ok"} == {"read", "write", "cas", "final"}
    assert {operation.complete.value for operation in done if operation.invoke.f == "cas"} == {True, False}
    who = {(o.complete.server, o.complete.timeline, o.complete.in_recovery) for o in done if o.outcome == "ok"}
    assert who == {("pg1", 1, False)}
    assert len({operation.invoke.key for operation in done if operation.invoke.key is not None}) > 4, "keys retire"


def test_rows_that_somebody_else_changes_are_no_registers(run, postgres):
    change = (
        "DO 'BEGIN FOR n IN 1..30 LOOP UPDATE {0}.registers SET value = n; COMMIT; PERFORM pg_sleep(.01); "
        "END LOOP; END'"
    )
    tamper = behind(postgres, change, once="SELECT 1 FROM {0}.registers HAVING count(*) = 2")
    verdict = run("register", during=tamper, operations=150, keys=2, uses=2000).verdict()
    assert verdict.status is Status.INVALID
    assert {entry["name"] for entry in verdict.details["witnesses"]} == {"not-linearizable"}


def test_rows_that_nobody_looks_at_again_are_missed_by_the_last_read(run, postgres):
    over = "WHERE id > 5 AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = '{0}')"
    tamper = behind(postgres, "DELETE FROM {0}.registers WHERE id < 3", once=f"SELECT 1 FROM {{0}}.registers {over}")
    ran = run("register", during=tamper, keys=2, uses=20)
    verdict = ran.verdict()
    assert verdict.status is Status.INVALID
    [final] = [o.invoke.op for o in ran.history.workloads["register"] if o.invoke.f == "final"]
    assert [final in entry["operations"] for entry in verdict.details["witnesses"]] == [True] * 3


def test_a_write_whose_connection_is_lost_is_unknown(cluster, postgres):
    with actors(cluster, "register") as (make, suite):
        actor, superuser = make(), postgres.connection()
        actor.call(Call("write", 1, 5))
        with superuser.transaction(within_s=10) as execute:
            execute(f"SELECT 1 FROM {suite.name}.registers WHERE id = 1 FOR UPDATE")
            lost = failure_when_killed(actor, Call("cas", 1, [5, 6]), postgres.connection(), suite, "Lock")
        assert (lost.outcome, lost.lost) == ("info", True)
        assert actor.call(Call("read", 1)).value == 5
        assert actor.call(Call("cas", 1, [4, 6])).value is False
        assert actor.call(Call("cas", 1, [5, 6])).value is True
        assert actor.call(Call("read", 2)).value is None


ASKED = {
    "register": ("read", "write", "cas"),
    "list_append": ("read", "transaction"),
    "counter": ("read", "increment"),
    "unique_ids": ("generate",),
    "sessions": ("increment",),
}


def test_what_a_standby_is_asked_fails(cluster, postgres):
    """Its answers may be old. What it refuses another server may do, so that a client goes on to the next."""
    with ExitStack() as stack:
        made = {name: stack.enter_context(actors(cluster, name))[0] for name in ASKED}
        clients = [(name, make(route=route)) for name, make in made.items() for route in workload(name).routes]
        for _, actor in clients:
            for call in [actor.next() for _ in range(30)]:
                actor.call(call)
        calls = [(actor, next_of(actor, f)) for name, actor in clients for f in ASKED[name]]
        reader = made["sessions"](route="read", number=1)
        with standby(postgres):
            refused = [refusal(actor, call) for actor, call in (*calls, *calls)]
            assert reader.call(next_of(reader, "read")).in_recovery is True, "what readers of replicas are for"
        assert {(error.outcome, error.reached) for error in refused} == {("fail", False)}
        assert {error.error_class for error in refused} == {"25006", "in-recovery", "connect-rejected"}
        assert [actor.call(call).in_recovery for actor, call in calls] == [False] * len(calls)


def refusal(actor: Actor, call: Call) -> OperationFailed:
    """How it fails. A server just started on a busy machine may be late, which is no answer."""
    return eventually(
        lambda: failure(actor, call),
        within_s=30,
        what="an answer in time",
        accept=lambda error: error.error_class != "deadline",
    )


@contextmanager
def standby(postgres) -> Iterator[None]:
    """The scratch server is in recovery meanwhile, and accepts reads."""
    signal = postgres.folder / "data/standby.signal"
    try:
        restart(postgres, lambda: (signal.touch(), signal.chmod(0o644)))
        yield
    finally:
        restart(postgres, lambda: signal.unlink(missing_ok=True))


def restart(postgres, change) -> None:
    postgres.run("pg_ctl", "-D", "data", "-m", "fast", "-w", "stop")
    change()
    postgres.start()
    postgres.wait_until_ready()


class _Setting:
    def __init__(self, number: int, clients: int) -> None:
        self.number, self.clients = number, clients
        self.parameters = {"keys": 3, "uses": 100}


def test_clients_agree_on_keys_and_leave_them_behind():
    uses: dict[int, list[int]] = {}
    for number in range(25):
        keys = Keys(_Setting(number, 25), Random(number))  # noqa: S311 (repeatable, not secret)
        for _ in range(200):
            uses.setdefault(keys.pick(), []).append(number)
    assert all(len({*clients}) <= 10 for clients in uses.values()), "more of them on one key are not judged in time"
    assert all(len(clients) <= 115 for clients in uses.values())
    full = [clients for clients in uses.values() if len({*clients}) >= 8]
    assert len(full) > 20
    assert {*range(9)} <= {*uses}
