"""From a target's selector to machines, asked of the living cluster at the moment the fault is due."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from halab.clients.etcd import EtcdEndpoint
from halab.clients.http import HttpError, client_context
from halab.clients.patroni import PatroniEndpoint
from halab.errors import HalabError
from halab.inventory import Cluster
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

    def resolve(self, target: str) -> tuple[str, ...]:
        """Names of machines: one, or all of a group. Raises NoTarget when there is none now."""
        if target in (host.name for host in self.cluster.hosts):
            return (target,)
        by_state: Mapping[str, Callable[[], str]] = {
            "leader": lambda: self._member("leader"),
            "replica": lambda: self._member(*REPLICAS),
            "sync_standby": lambda: self._member(*SYNCHRONOUS),
            "etcd_leader": self._etcd_leader,
        }
        if target in by_state:
            try:
                return (eventually(by_state[target], within_s=FOUND_WITHIN_S, what=f"a machine that is {target}"),)
            except WaitExpired as error:
                raise NoTarget(f"target {target}: {error.last}") from error
        group = target.removeprefix("random(").removesuffix(")")
        hosts = [host.name for host in self.cluster.group(group)]
        if not hosts:
            raise NoTarget(f"target {target}: {self.cluster.inventory} has no host or group of this name")
        return tuple(hosts) if group == target else (self._random.choice(hosts),)

    def _member(self, *roles: str) -> str:
        context = client_context(self.cluster.tls)
        seen: list[str] = []
        for member in self.cluster.patroni.members:
            endpoint = PatroniEndpoint(member, context)
            try:
                document = endpoint.cluster(within_s=ANSWER_WITHIN_S)
            except HttpError as error:
                seen.append(str(error))
                continue
            finally:
                endpoint.close()
            found = sorted(_running(document, roles))
            if found:
                return self._random.choice(found) if len(found) > 1 else found[0]
            seen.append("; ".join(f"{entry.get('name')} is {entry.get('role')}" for entry in document["members"]))
        raise NoTarget("; ".join(dict.fromkeys(seen)))

    def _etcd_leader(self) -> str:
        context = client_context(self.cluster.tls)
        answers = [self._etcd_member(member.name, context) for member in self.cluster.etcd.members]
        leaders = [name for name, leads in answers if leads is True]
        if len(leaders) == 1:
            return leaders[0]
        raise NoTarget(
            "; ".join(f"{name}: {'leads' if leads is True else leads or 'follows'}" for name, leads in answers)
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


def _running(document: Mapping[str, Any], roles: tuple[str, ...]) -> list[str]:
    return [
        str(entry["name"])
        for entry in document["members"]
        if entry.get("role") in roles and entry.get("state") in ("running", "streaming")
    ]
