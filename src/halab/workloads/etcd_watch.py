"""Watches of etcd: every second client writes keys, one or two in a transaction, the others watch all of them.

A watcher records what it saw as operations of kind `watched`, whole answers at a time. Now and then, and whenever its
stream breaks, it goes on from the last revision it saw, on route `any` at another member.
"""

from __future__ import annotations

from typing import Any, Final

from halab.clients.etcd_data import Header, put_of
from halab.clients.etcd_stream import Notice, Stream
from halab.clients.outcome import OperationFailed
from halab.history import Json
from halab.waiting import Deadline
from halab.workloads.actor import FINAL, OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.etcd_actor import ROUTES, EtcdActor, answered, prepare, provenance, remove, shown

PUT: Final = "put"
PAIR: Final = "put_pair"
WATCHED: Final = "watched"
QUIET_S: Final = 0.1
"""How long a watcher waits for something to see before it says that it saw nothing."""
SHARE_OF_PAIRS: Final = 0.4


class Writer(EtcdActor):
    """Writes one key or two at once: value {key: what}."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, WORKLOAD.name)
        self._chance = setting.chance(WORKLOAD.name)
        self._id = setting.first_id

    def next(self) -> Call | None:
        self.keep_run()
        pair = self._chance.random() < SHARE_OF_PAIRS
        keys = self._chance.sample(range(self.setting.parameters["keys"]), 2 if pair else 1)
        value: dict[str, Any] = {}
        for key in keys:
            self._id += 1
            value[str(key)] = self._id
        return Call(PAIR if pair else PUT, value=value)

    def call(self, call: Call) -> Answer:
        asked: Any = call.value
        member = self.member()
        puts = [(f"{self.place}{key}", str(what)) for key, what in asked.items()]
        if call.f == PUT:
            header = member.put(*puts[0], within_s=OPERATION_WITHIN_S)
        else:
            header = member.transaction([], [put_of(*put) for put in puts], within_s=OPERATION_WITHIN_S).header
        return answered(member, header, asked)


class Watcher(EtcdActor):
    """Sees every change from the beginning of the run on."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, WORKLOAD.name)
        self._chance = setting.chance(WORKLOAD.name)
        self._stream: Stream | None = None
        self._server = ""
        self._first = 0

    @property
    def seen_until(self) -> int:
        """The last revision of which it saw an event."""
        return self._first - 1

    def next(self) -> Call | None:
        self.keep_run()
        if self._chance.random() < self.setting.parameters["resume"]:
            self._leave()
        return Call(WATCHED, value=self._first or None)

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (it goes on where it is)
        deadline = Deadline.after(OPERATION_WITHIN_S)
        stream = self._stream or self._resumed(deadline)
        try:
            notices = stream.wait(Deadline(min(deadline.at, Deadline.after(QUIET_S).at)))
            for notice in notices:
                self._refuse(notice)
        except OperationFailed:
            self._leave()
            raise
        told = [notice for notice in notices if notice.events]
        seen = [event for notice in told for event in notice.events]
        events: Json = [[event.revision, event.key.removeprefix(self.place), _value(event.value)] for event in seen]
        first = self._first
        self._first = max([first, *(event.revision + 1 for event in seen)])
        extra = provenance(_header(notices[-1])) if notices else {}
        return Answer(value=events, server=self._server,
                      extra={**extra, "first": first, "answers": [len(notice.events) for notice in told]})  # fmt: skip

    def close(self) -> None:
        self._leave()
        super().close()

    def _resumed(self, deadline: Deadline) -> Stream:
        member = self.member()
        if not self._first:
            self._first = self.beginning(member)
        self._stream = member.watch(self.place, first=self._first, within_s=deadline.remaining_s)
        self._server = member.name
        return self._stream

    def _refuse(self, notice: Notice) -> None:
        """What has been compacted away cannot be seen any more: the next operation says from where on it sees."""
        if notice.compacted:
            self._first = max(self._first, notice.compacted)
            raise OperationFailed("fail", "compacted", f"nothing is left before {notice.compacted}", reached=True)
        if notice.cancelled:
            raise OperationFailed("fail", "cancelled", notice.cancelled, reached=True)

    def _leave(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


class Replay(Watcher):
    """Reads every key at one revision, {key: [value, mod_revision]}, and then watches all over again up to there."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._until: int | None = None

    def next(self) -> Call | None:
        if self._until is None:
            return Call(FINAL)
        return Call(WATCHED, value=self._first or None) if self.seen_until < self._until else None

    def call(self, call: Call) -> Answer:
        if call.f != FINAL:
            return super().call(call)
        member = self.member()
        found = member.prefix(self.place, within_s=OPERATION_WITHIN_S)
        self._until = max((item.mod_revision for item in found.items), default=-1)
        values = shown({item.key: [int(item.value), item.mod_revision] for item in found.items}, self.place)
        return answered(member, found.header, values)


def client(setting: Setting) -> Writer | Watcher:
    """Writers and watchers take turns."""
    return Watcher(setting) if setting.number % 2 else Writer(setting)


def _value(text: str | None) -> int | None:
    return None if text is None else int(text)


def _header(notice: Notice) -> Header:
    return Header(notice.member, notice.term, notice.revision)


WORKLOAD: Final = Workload(
    name="etcd_watch",
    words="writes keys in etcd, and watches them being written",
    kinds=(PUT, PAIR, WATCHED),
    routes=ROUTES,
    needs="etcd",
    actor=client,
    resolver=Replay,
    prepare=prepare,
    remove=remove,
    parameters={
        "keys": Parameter(words="how many keys there are", default=8, smallest=2, largest=1000),
        "resume": Parameter(
            words="share of looks before which a watcher breaks off and goes on", default=0.05, largest=1.0
        ),
    },
)
