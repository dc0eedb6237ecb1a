"""From a target's selector to machines, asked of the living cluster at the moment the fault is due."""

from __future__ import annotations

import random
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from halab.clients.etcd import EtcdEndpoint
from halab.clients.haproxy import node_at_address
from halab.clients.http import HttpError, client_context
from halab.clients.patroni import PatroniEndpoint
from halab.clients.redis import SentinelEndpoint
from halab.errors import HalabError
from halab.inventory import Cluster, RedisMember
from halab.scenario import targets
from halab.waiting import WaitExpired, eventually

ANSWER_WITHIN_S = 2.0
FOUND_WITHIN_S = 10.0
SYNCHRONOUS = ("sync_standby", "quorum_standby")
REPLICAS = ("replica", *SYNCHRONOUS)


class NoTarget(HalabError):  # noqa: N818 (a state of the cluster, not a fault of the program)
    """No machine is now what the selector asks for; the text says what the members are instead."""


@dataclass(slots=True)
class Selectors:
    """Resolves selectors for one run. The same seed draws the same machines from the same states."""

    cluster: Cluster
    seed: int
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Reproducible draws are wanted here, not unpredictable ones.
        self._random = random.Random(self.seed)  # noqa: S311

    def resolve(self, text: str) -> tuple[str, ...]:
        """Names of machines: one or several. Raises NoTarget when there is none now."""
        target = targets.parse(text)
        if target is not None and target.kind == "role":
            return (self._role(target.name),)
        hosts = targets.candidates(target, self.cluster) if target is not None else ()
        if target is None or not hosts:
            raise NoTarget(f"target {text}: {self.cluster.inventory} has no host or group of this name")
        if target.kind in ("all", "name"):
            return hosts
        return tuple(sorted(self._random.sample(hosts, min(targets.size(target, self.cluster), len(hosts)))))

    def _role(self, role: str) -> str:
        find: Mapping[str, Callable[[], str]] = {
            "leader": lambda: self._member("leader"),
            "replica": lambda: self._member(*REPLICAS),
            "sync_standby": lambda: self._member(*SYNCHRONOUS),
            "etcd_leader": lambda: self._etcd(leads=True),
            "etcd_follower": lambda: self._etcd(leads=False),
            "redis_master": lambda: self._redis(master=True),
            "redis_replica": lambda: self._redis(master=False),
            "haproxy_active": self._haproxy_active,
        }
        try:
            return eventually(find[role], within_s=FOUND_WITHIN_S, what=f"a machine that is {role}")
        except WaitExpired as error:
            raise NoTarget(f"target {role}: {error.last}") from error

    def _member(self, *roles: str) -> str:
        context = client_context(self.cluster.tls)
        seen: list[str] = []
        for member in self.cluster.patroni.entry:
            endpoint = PatroniEndpoint(member, context)
            try:
                document = endpoint.cluster(within_s=ANSWER_WITHIN_S)
            except HttpError as error:
                seen.append(str(error))
                continue
            finally:
                endpoint.close()
            found = sorted(map(self.cluster.patroni.host_of, _running(document, roles)))
            strangers = [name for name in found if name not in {one.name for one in self.cluster.patroni.members}]
            if strangers:
                fix = f"Set patroni_name: {strangers[0]} for the host on which it runs."
                raise NoTarget(f"Patroni has a member {strangers[0]}, which the inventory does not know. {fix}")
            if found:
                return self._random.choice(found) if len(found) > 1 else found[0]
            seen.append("; ".join(f"{entry.get('name')} is {entry.get('role')}" for entry in document["members"]))
        raise NoTarget("; ".join(dict.fromkeys(seen)))

    def _etcd(self, *, leads: bool) -> str:
        context = client_context(self.cluster.tls)
        answers = [self._etcd_member(member.name, context) for member in self.cluster.etcd.members]
        leaders = [name for name, answer in answers if answer is True]
        followers = [name for name, answer in answers if answer is False]
        if len(leaders) == 1 and (leads or followers):
            return leaders[0] if leads else self._random.choice(followers)
        raise NoTarget(
            "; ".join(f"{name}: {'leads' if answer is True else answer or 'follows'}" for name, answer in answers)
        )

    def _etcd_member(self, name: str, context: ssl.SSLContext) -> tuple[str, bool | str]:
        member = next(member for member in self.cluster.etcd.members if member.name == name)
        endpoint = EtcdEndpoint(self.cluster.etcd, member, context)
        try:
            return name, endpoint.status(within_s=ANSWER_WITHIN_S).is_leader
        except HttpError as error:
            return name, str(error)
        finally:
            endpoint.close()

    def _redis(self, *, master: bool) -> str:
        group = self.cluster.redis
        members = group.members if group is not None else ()
        seen = {member.name: self._sentinel_says(member) for member in members}
        named, votes = Counter(seen.values()).most_common(1)[0] if seen else ("", 0)
        if 2 * votes <= len(members) or named not in seen:
            told = [f"Sentinel of {name}: {said}" for name, said in seen.items()]
            raise NoTarget("; ".join(told) or "the inventory has no host in group redis")
        return named if master else self._random.choice([name for name in seen if name != named])

    def _sentinel_says(self, member: RedisMember) -> str:
        """The master by its Sentinel, or why it names none."""
        assert self.cluster.redis is not None  # noqa: S101  told to the type checker: it has this member
        sentinel = SentinelEndpoint(self.cluster.redis, member, self.cluster.tls, within_s=ANSWER_WITHIN_S)
        try:
            return str(self.cluster.name_of(sentinel.master()[0]))
        except HalabError as error:
            return str(error)
        finally:
            sentinel.close()

    def _haproxy_active(self) -> str:
        if self.cluster.haproxy is None or not self.cluster.haproxy.address:
            raise NoTarget("haproxy_address is not set, so no balancer is the active one")
        if not self.cluster.haproxy.node_path:
            raise NoTarget("haproxy_node_path is empty, so no balancer tells that it is the active one")
        try:
            answered = node_at_address(self.cluster.haproxy, self.cluster.tls, within_s=ANSWER_WITHIN_S)
        except HttpError as error:
            raise NoTarget(str(error)) from error
        name = self.cluster.name_of(answered)
        if name is None or name not in {host.name for host in self.cluster.haproxy.balancers}:
            raise NoTarget(f"{self.cluster.haproxy.address} is answered by {answered}, which is no balancer")
        return name


def _running(document: Mapping[str, Any], roles: tuple[str, ...]) -> list[str]:
    return [
        str(entry["name"])
        for entry in document["members"]
        if entry.get("role") in roles and entry.get("state") in ("running", "streaming")
    ]
