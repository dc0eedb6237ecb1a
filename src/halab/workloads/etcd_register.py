"""Registers in etcd: keys that clients put, read, and change by compare-and-set in a transaction; keys retire."""

from __future__ import annotations

from typing import Any, Final

from halab.clients.etcd_data import created_at, get_of, has_value, put_of
from halab.history import Json
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Once, Setting
from halab.workloads.catalogue import Workload
from halab.workloads.etcd_actor import ROUTES, EtcdActor, answered, prepare, remove, shown
from halab.workloads.keys import LIVE, USES, Keys

PUT: Final = "put"
GET: Final = "get"
CAS: Final = "cas"


class Register(EtcdActor):
    """Puts, reads, and swaps what it saw last for something new."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, WORKLOAD.name)
        self._chance = setting.chance(WORKLOAD.name)
        self._id = setting.first_id
        self._keys = Keys(setting, self._chance)
        self._seen: dict[str, int | None] = {}

    def next(self) -> Call | None:
        self.keep_run()
        key = str(self._keys.pick())
        f = self._chance.choices((PUT, GET, CAS), weights=(1, 1, 1))[0]
        if f == GET:
            return Call(GET, key=key)
        self._id += 1
        if f == PUT:
            return Call(PUT, key=key, value=self._id)
        return Call(CAS, key=key, value=[self._seen.get(key), self._id])

    def call(self, call: Call) -> Answer:
        member, key, within_s = self.member(), f"{self.place}{call.key}", OPERATION_WITHIN_S
        if call.f == GET:
            found = member.get(key, within_s=within_s)
            value = int(found.item.value) if found.item else None
            self._seen[str(call.key)] = value
            wrote = found.item.mod_revision if found.item else None
            return answered(member, found.header, value, mod_revision=wrote)
        asked: Any = call.value
        if call.f == PUT:
            header = member.put(key, str(asked), within_s=within_s)
            self._seen[str(call.key)] = asked
            return answered(member, header, asked)
        expected, new = asked
        condition = created_at(key, 0) if expected is None else has_value(key, str(expected))
        result = member.transaction([condition], [put_of(key, str(new))], [get_of(key)], within_s=within_s)
        if result.succeeded:
            self._seen[str(call.key)] = new
            return answered(member, result.header, {"swapped": True})
        met = int(result.item.value) if result.item else None
        self._seen[str(call.key)] = met
        wrote = result.item.mod_revision if result.item else None
        return answered(member, result.header, {"swapped": False, "met": met}, mod_revision=wrote)


class FinalRead(Once, EtcdActor):
    """Reads every key once, at one revision: {key: [value, mod_revision]}."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, WORKLOAD.name)

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (there is one)
        member = self.member()
        found = member.prefix(self.place, within_s=OPERATION_WITHIN_S)
        values: Json = shown({item.key: [int(item.value), item.mod_revision] for item in found.items}, self.place)
        return answered(member, found.header, values)


WORKLOAD: Final = Workload(
    name="etcd_register",
    words="puts, reads and swaps values of keys in etcd",
    kinds=(PUT, GET, CAS),
    routes=ROUTES,
    needs="etcd",
    actor=Register,
    resolver=FinalRead,
    prepare=prepare,
    remove=remove,
    parameters={"keys": LIVE, "uses": USES},
)
