"""Locks in etcd: a key with a lease, created where it is absent, and a register that only its holder writes.

The holder reads the register and then writes what it made of it, in a transaction fenced by the revision that created
the lock's key. Some holders fall asleep for longer than their lease and write when they awake: they still take the lock
for theirs, somebody else has it, and only the fence keeps them from the register.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from halab.clients.etcd_data import EtcdData, Lease, created_at, delete_of, get_of, put_of
from halab.clients.outcome import OperationFailed, nothing_done
from halab.history import Json
from halab.waiting import Deadline
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Once, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.etcd_actor import ROUTES, EtcdActor, answered, prepare, remove, shown

ACQUIRE: Final = "acquire"
READ: Final = "read"
WRITE: Final = "write"
KEEP: Final = "keep"
RELEASE: Final = "release"
MOST_WRITES: Final = 3
TENURE: Final = (ACQUIRE, WRITE, RELEASE)


@dataclass(slots=True)
class Tenure:
    """Of the lock `name`, as its holder believes. `base` is what it read, None before that."""

    name: str
    token: int
    lease: Lease
    kept: float
    writes: int
    base: int | None = None
    has_read: bool = False

    @property
    def wakes(self) -> float:
        """When its lease has ended for want of a sign of life: etcd looks twice a second."""
        return self.kept + 1.5 * self.lease.ttl_s + 0.5


class Holder(EtcdActor):
    """Acquires a lock, reads and writes under it, keeps it alive, releases it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, WORKLOAD.name)
        self._chance = setting.chance(WORKLOAD.name)
        self._id = setting.first_id
        self._held: Tenure | None = None
        self._asleep: Tenure | None = None
        self._lease: tuple[Lease, float] | None = None

    def next(self) -> Call | None:
        self.keep_run()
        asleep, held = self._asleep, self._held
        if asleep is not None and time.monotonic() > asleep.wakes:
            return self._write(asleep)
        if held is None:
            return Call(ACQUIRE, key=f"{self._chance.randrange(self.setting.parameters['locks'])}")
        if time.monotonic() - held.kept > held.lease.ttl_s / 3:
            return Call(KEEP, key=held.name, value={"token": held.token})
        if not held.has_read:
            return Call(READ, key=held.name, value={"token": held.token})
        if held.writes > 0:
            return self._write(held)
        return Call(RELEASE, key=held.name, value={"token": held.token})

    def call(self, call: Call) -> Answer:
        try:
            return self._carried_out(self.member(), call)
        except OperationFailed as error:
            if error.outcome == "info":
                # A write that may still be under way must not be followed by another under the same token.
                self._held = self._lease = None
            self._wake(call)
            raise

    def _carried_out(self, member: EtcdData, call: Call) -> Answer:
        if call.f == ACQUIRE:
            return self._acquire(member, str(call.key))
        if call.f == WRITE:
            return self._fenced(member, call)
        if self._held is None:
            raise OperationFailed("fail", "not-held", "the client holds no lock", reached=True)
        step = {KEEP: self._keep, READ: self._read, RELEASE: self._release}[call.f]
        return step(member, self._held)

    def _acquire(self, member: EtcdData, name: str) -> Answer:
        deadline, key = Deadline.after(OPERATION_WITHIN_S), self._lock(name)
        lease, kept = self._fresh(member, deadline)
        result = member.transaction(
            [created_at(key, 0)],
            [put_of(key, str(self.setting.number), lease=lease.lease)],
            [get_of(key)],
            within_s=deadline.remaining_s,
        )
        if not result.succeeded:
            return answered(member, result.header, {"token": None})
        token = result.header.revision
        self._held, self._lease = Tenure(name, token, lease, kept, self._chance.randint(1, MOST_WRITES)), None
        return answered(member, result.header, {"token": token, "ttl": lease.ttl_s})

    def _fresh(self, member: EtcdData, deadline: Deadline) -> tuple[Lease, float]:
        """A lease with more than half of its time left, and since when."""
        now = time.monotonic()
        if self._lease is None or now - self._lease[1] > self._lease[0].ttl_s / 2:
            with nothing_done():
                self._lease = member.grant(self.setting.parameters["ttl"], within_s=deadline.remaining_s), now
        return self._lease

    def _keep(self, member: EtcdData, held: Tenure) -> Answer:
        now = time.monotonic()
        with nothing_done():
            lease = member.keep_alive(held.lease.lease, within_s=OPERATION_WITHIN_S)
        if lease.ttl_s:
            held.kept = now
        else:
            self._held = None
        return answered(member, lease.header, {"ttl": lease.ttl_s})

    def _read(self, member: EtcdData, held: Tenure) -> Answer:
        found = member.get(self._register(held.name), within_s=OPERATION_WITHIN_S)
        held.base, held.has_read = int(found.item.value) if found.item else None, True
        if self._asleep is None and self._chance.random() < self.setting.parameters["asleep"]:
            self._asleep, self._held = held, None
        wrote = found.item.mod_revision if found.item else None
        return answered(member, found.header, held.base, mod_revision=wrote)

    def _write(self, tenure: Tenure) -> Call:
        self._id += 1
        return Call(WRITE, key=tenure.name, value={"token": tenure.token, "base": tenure.base, "new": self._id})

    def _fenced(self, member: EtcdData, call: Call) -> Answer:
        asked: Any = call.value
        name = str(call.key)
        result = member.transaction(
            [created_at(self._lock(name), asked["token"])],
            [put_of(self._register(name), str(asked["new"]))],
            [get_of(self._lock(name))],
            within_s=OPERATION_WITHIN_S,
        )
        woken = self._wake(call)
        if result.succeeded:
            if not woken and self._held is not None:
                self._held.base, self._held.writes = asked["new"], self._held.writes - 1
            return answered(member, result.header, {"written": True})
        if not woken:
            self._held = None
        holder = result.item.create_revision if result.item else None
        return answered(member, result.header, {"written": False, "holder": holder})

    def _wake(self, call: Call) -> bool:
        """Whether it was the one write of who fell asleep."""
        asked: Any = call.value
        woken = call.f == WRITE and self._asleep is not None and self._asleep.token == asked["token"]
        if woken:
            self._asleep = None
        return woken

    def _release(self, member: EtcdData, held: Tenure) -> Answer:
        self._held = None
        key = self._lock(held.name)
        result = member.transaction(
            [created_at(key, held.token)], [delete_of(key)], [get_of(key)], within_s=OPERATION_WITHIN_S
        )
        self._lease = held.lease, held.kept
        return answered(member, result.header, {"released": result.succeeded})

    def _lock(self, name: str) -> str:
        return f"{self.place}lock/{name}"

    def _register(self, name: str) -> str:
        return f"{self.place}register/{name}"


class FinalRead(Once, EtcdActor):
    """Reads every register once: {lock: value}."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, WORKLOAD.name)

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (there is one)
        member, registers = self.member(), f"{self.place}register/"
        found = member.prefix(registers, within_s=OPERATION_WITHIN_S)
        values: Json = shown({item.key: int(item.value) for item in found.items}, registers)
        return answered(member, found.header, values)


WORKLOAD: Final = Workload(
    name="etcd_lock",
    words="takes locks in etcd and writes, fenced, what they guard",
    kinds=TENURE,
    routes=ROUTES,
    needs="etcd",
    actor=Holder,
    resolver=FinalRead,
    prepare=prepare,
    remove=remove,
    parameters={
        "locks": Parameter(words="how many locks there are", default=2, smallest=1, largest=1000),
        "ttl": Parameter(words="of the leases, in seconds", default=3, smallest=1, largest=3600),
        "asleep": Parameter(words="share of holders that sleep longer than that", default=0.03, largest=1.0),
    },
)
