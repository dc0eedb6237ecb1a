"""What clients of etcd have in common: members, a place for the run's keys, and how both come and go.

Keys of a run are under /halab/<token>/. While it lives there is a lease whose number is the token: a place without one
was left behind by a dead run, and the next run deletes it. Every client gives the lease a sign of life now and then.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from halab.clients.etcd_channel import Channel, Login
from halab.clients.etcd_data import EtcdData, Found, Header, created_at, get_of, put_of
from halab.clients.http import client_context
from halab.clients.outcome import OperationFailed
from halab.waiting import eventually
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Setting
from halab.workloads.suite import Suite

T = TypeVar("T")
ROUTES: Final = ("member", "any")
"""One member for each client, whatever becomes of it; or another member for every operation."""
PLACE: Final = "/halab/"
LEASE_S: Final = 120
KEEP_EVERY_S: Final = 30.0
KEEP_WITHIN_S: Final = 0.5
PREPARED_WITHIN_S: Final = 20.0
REMOVED_WITHIN_S: Final = 15.0
_OF_A_RUN: Final = re.compile(rf"{PLACE}([0-9a-f]{{12}})/")


class EtcdActor:
    """Members as the route says, and the run's lease kept alive."""

    def __init__(self, setting: Setting, workload: str) -> None:
        self.setting = setting
        self.place = f"{place(setting.suite)}{workload}/"
        members = connections(setting)
        self._members = members if setting.route == "any" else members[:1]
        self._turn = 0
        self._kept = time.monotonic()

    @property
    def endpoint(self) -> str:
        return self.setting.route

    def elsewhere(self) -> None:
        """On route `any` the next operation goes elsewhere in any case."""

    def close(self) -> None:
        for member in self._members:
            member.close()

    def member(self) -> EtcdData:
        """Whom to ask now."""
        self._turn += 1
        return self._members[self._turn % len(self._members)]

    def keep_run(self) -> None:
        """A sign of life of the run, when one is due; a member that does not take it does not matter."""
        if time.monotonic() - self._kept > KEEP_EVERY_S:
            self._kept = time.monotonic()
            try:
                self.member().keep_alive(run_lease(self.setting.suite), within_s=KEEP_WITHIN_S)
            except OperationFailed:
                pass

    def beginning(self, member: EtcdData) -> int:
        """The revision after that at which the run's place was made. Raises OperationFailed."""
        found = member.get(beginning(self.setting.suite), within_s=OPERATION_WITHIN_S).item
        if found is None:
            raise OperationFailed("fail", "no-place", "the run's keys are gone", reached=True)
        return found.create_revision + 1


def answered(member: EtcdData, header: Header, value: Any, **extra: Any) -> Answer:
    """An acknowledgement by `member`, with what etcd says of itself."""
    return Answer(value=value, server=member.name, extra=provenance(header) | extra)


def provenance(header: Header) -> dict[str, Any]:
    return {"member": header.member, "term": header.term, "revision": header.revision}


def connections(setting: Setting) -> list[EtcdData]:
    """Every member, beginning with another one for each client."""
    etcd, context = setting.cluster.etcd, client_context(setting.cluster.tls)
    login, first = Login(etcd.root_password), setting.number % len(etcd.members)
    members = etcd.members[first:] + etcd.members[:first]
    return [EtcdData(Channel(member, context, login)) for member in members]


def place(suite: Suite) -> str:
    return f"{PLACE}{suite.token}/"


def beginning(suite: Suite) -> str:
    """The key that is made first."""
    return f"{place(suite)}begin"


def run_lease(suite: Suite) -> int:
    return int(suite.token, 16)


def prepare(setting: Setting) -> None:
    """Delete what dead runs left and make this run's place, unless another workload has. Raises WaitExpired."""
    leftovers(setting)

    def make(member: EtcdData) -> Found:
        lease, key = run_lease(setting.suite), beginning(setting.suite)
        if not member.lives(lease, within_s=OPERATION_WITHIN_S):
            member.grant(LEASE_S, lease=lease, within_s=OPERATION_WITHIN_S)
        return member.transaction(
            [created_at(key, 0)], [put_of(key, setting.suite.token)], [get_of(key)], within_s=OPERATION_WITHIN_S
        )

    _anywhere(setting, make, within_s=PREPARED_WITHIN_S, what=f"etcd to make {place(setting.suite)}")


def remove(setting: Setting) -> None:
    """Delete the run's keys and its lease. Raises WaitExpired."""

    def drop(member: EtcdData) -> bool:
        _drop(member, setting.suite.token)
        if member.lives(run_lease(setting.suite), within_s=OPERATION_WITHIN_S):
            member.revoke(run_lease(setting.suite), within_s=OPERATION_WITHIN_S)
        return True

    _anywhere(setting, drop, within_s=REMOVED_WITHIN_S, what=f"etcd to delete {place(setting.suite)}")


def leftovers(setting: Setting) -> tuple[str, ...]:
    """Delete the places of runs without a living lease; returns their tokens. Raises WaitExpired."""

    def clean(member: EtcdData) -> tuple[str, ...]:
        keys = member.prefix(PLACE, keys_only=True, within_s=OPERATION_WITHIN_S).items
        found = {match[1] for item in keys if (match := _OF_A_RUN.match(item.key))} - {setting.suite.token}
        dead = tuple(sorted(token for token in found if not member.lives(int(token, 16), within_s=OPERATION_WITHIN_S)))
        for token in dead:
            _drop(member, token)
        return dead

    return _anywhere(setting, clean, within_s=PREPARED_WITHIN_S, what=f"etcd to list {PLACE}")


def _drop(member: EtcdData, token: str) -> None:
    member.delete_prefix(f"{PLACE}{token}/", within_s=OPERATION_WITHIN_S)


def _anywhere(setting: Setting, do: Callable[[EtcdData], T], *, within_s: float, what: str) -> T:
    """Done by whichever member does it; nothing is worse for being done twice."""
    members = connections(setting)
    turn = itertools.cycle(members)
    try:
        return eventually(lambda: do(next(turn)), within_s=within_s, what=what, accept=lambda _: True)
    finally:
        for member in members:
            member.close()


def shown(values: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Values by key, without the place that all keys share."""
    return {key.removeprefix(place): value for key, value in values.items()}
