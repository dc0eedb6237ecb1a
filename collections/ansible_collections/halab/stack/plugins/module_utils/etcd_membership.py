# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who belongs to an etcd cluster: what it says, what was declared, and the steps between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.halab.stack.plugins.module_utils.etcd import (
    EtcdError,
    EtcdUnavailableError,
    Member,
    eventually,
    listens,
)
from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, in_parallel


@dataclass(frozen=True, slots=True)
class Peer:
    """A member as the cluster knows it. One that was added and has never run has no URL for clients."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]

    @property
    def began(self) -> bool:
        """Whether it has ever run."""
        return bool(self.client_urls)

    @property
    def words(self) -> str:
        """The member for a message."""
        return f"{self.name or 'a member that never ran'} at {', '.join(self.peer_urls)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How an empty member comes in: `removed` go first; `added` tells whether it must be added after that."""

    removed: tuple[Peer, ...]
    added: bool


def peers(member: Member) -> list[Peer]:
    """Return who belongs to the cluster as a quorum of it knows. Raises EtcdError."""
    answer = member.call("/v3/cluster/member/list", {"linearizable": True})
    return [
        Peer(str(one["ID"]), one.get("name", ""), tuple(one.get("peerURLs", ())), tuple(one.get("clientURLs", ())))
        for one in answer.get("members", ())
    ]


def plan(known: Sequence[Peer], *, name: str, url: str, declared: Mapping[str, str], dead: Sequence[Peer]) -> Plan:
    """Return how the member `name` with the peer URL `url`, which has no data, comes into the cluster of `known`.

    `declared` has the names by peer URLs, `dead` are members that do not answer. A former self has lost what it had
    promised to the others and may not come back under the same id. The dead that are not declared go too, since etcd
    adds nobody while a member is away.
    """
    former = [one for one in known if one.began and (one.name == name or url in one.peer_urls)]
    strangers = [one for one in dead if one not in former and not declared.keys() & set(one.peer_urls)]
    waiting = any(url in one.peer_urls and not one.began for one in known)
    return Plan(removed=(*former, *strangers), added=not waiting)


def undeclared(known: Sequence[Peer], declared: Mapping[str, str]) -> list[Peer]:
    """Return the members that are not declared; none before every declared one has begun."""
    begun = {url for one in known if one.began for url in one.peer_urls}
    if declared.keys() - begun:
        return []
    return [one for one in known if not declared.keys() & set(one.peer_urls)]


def initial_cluster(known: Sequence[Peer], declared: Mapping[str, str]) -> str:
    """Return the list of members that a new one has to begin with: all that the cluster has now, itself among them."""
    pairs = [(one.name or declared.get(url, ""), url) for one in known for url in one.peer_urls]
    return ",".join(f"{name}={url}" for name, url in pairs)


def dead_of(known: Sequence[Peer], like: Member) -> list[Peer]:
    """Return the members that have run and do not answer now; `like` tells how to ask."""
    asked = [one for one in known if one.began]

    def silent(one: Peer) -> bool:
        members = [Member(like.client, url, like.deadline_s) for url in one.client_urls]
        return all(_silent(member) for member in members)

    return [one for one, gone in zip(asked, in_parallel(silent, asked), strict=True) if gone]


def serving(members: Sequence[Member], *, within_s: float) -> Member:
    """Return a member that serves, as soon as one does. Raises EtcdUnavailableError after `within_s` seconds."""

    def once() -> Member:
        reasons = in_parallel(Member.why_unhealthy, members)
        for member, reason in zip(members, reasons, strict=True):
            if not reason:
                return member
        raise EtcdUnavailableError("; ".join(reasons) or "there is no other member")

    return eventually(once, within_s=within_s)


def was_whole(client: Client, peer_urls: Sequence[str], *, deadline_s: float) -> bool:
    """Tell whether the members at `peer_urls` that listen have ever been a cluster that could agree on something.

    A member answers its peers also without a quorum. It knows URLs for clients only of those who have published them
    with the consent of one. Raises EtcdUnavailableError when a member listens and does not answer.
    """

    def answer(url: str) -> list[dict[str, object]]:
        if not listens(url, within_s=deadline_s):
            return []
        try:
            return list(client.request(f"{url}/members", deadline_s=deadline_s).json())
        except HttpError as error:
            raise EtcdUnavailableError(str(error)) from error

    return any(one.get("clientURLs") for known in in_parallel(answer, peer_urls) for one in known)


def _silent(member: Member) -> bool:
    try:
        member.call("/v3/maintenance/status")
    except EtcdUnavailableError:
        return True
    except EtcdError:
        return False
    return False
