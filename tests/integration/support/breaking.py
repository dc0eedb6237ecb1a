"""What tests do to a cluster: faults by the project's playbooks, and the proxy that holds one message."""

from __future__ import annotations

import json
import random
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.integration.support.citus import LOOK_WITHIN_S, Citus

from halab.driver.site import Site
from halab.errors import HalabError
from halab.inventory import PatroniMember
from halab.waiting import eventually

FAULT_WITHIN_S = 300.0
BEGUN_WITHIN_S = 90.0
PROXY_PLAYBOOK = "../tests/integration/support/proxy"
PROXY_TTL_S = 600
WRITABLE_WITHIN_S = 90.0
POOLED = "INSERT INTO pg_dist_poolinfo SELECT nodeid, %s FROM pg_dist_node WHERE groupid = %s AND noderole = 'primary'"
FORGET = "DELETE FROM pg_dist_poolinfo WHERE poolinfo = ANY (%s)"


class Fault(threading.Thread):
    """A fault by its playbook, in a thread of its own: injected, held and healed."""

    def __init__(self, site: Site, playbook: str, *, target: str, hold_s: float, **parameters: Any) -> None:
        super().__init__(name=f"{playbook} on {target}", daemon=True)
        self._site = site
        self._playbook = playbook
        self._id = f"integration-{playbook}-{secrets.token_hex(3)}"
        self._variables = {
            "fault_target": target, "fault_id": self._id, "fault_hold": hold_s, "fault_ttl": hold_s + 120,
            **({"halab_allow_destructive": site.ownership.allowed} if site.ownership.allowed else {}),
            **{f"fault_{name}": value for name, value in parameters.items()},
        }  # fmt: skip
        self._begun = threading.Event()
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            self._site.plays.must(
                f"faults/{self._playbook}", self._variables, name=self._id, within_s=FAULT_WITHIN_S,
                on_event=self._on_event,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 (it is raised again by who waits for the end)
            self.failed = error
        finally:
            self._begun.set()

    def begin(self) -> None:
        """Inject; returns when it was seen to act. Raises what kept it from acting."""
        self.start()
        if not self._begun.wait(BEGUN_WITHIN_S):
            raise HalabError(f"{self.name} has not begun within {BEGUN_WITHIN_S:g} s")
        if self.failed:
            raise self.failed

    def end(self) -> None:
        """Wait until it is healed. Raises what went wrong."""
        self.join(FAULT_WITHIN_S)
        if self.is_alive():
            raise HalabError(f"{self.name} has not ended within {FAULT_WITHIN_S:g} s")
        if self.failed:
            raise self.failed

    def _on_event(self, event: Any) -> None:
        if event.task == "Inject" and event.kind == "ok":
            self._begun.set()


@contextmanager
def broken(site: Site, playbook: str, *, target: str, hold_s: float, **parameters: Any) -> Iterator[Fault]:
    """A fault that acts when the body begins; it is healed when the body has ended, however that was."""
    fault = Fault(site, playbook, target=target, hold_s=hold_s, **parameters)
    fault.begin()
    try:
        yield fault
    finally:
        fault.end()


@dataclass
class Held:
    """Proxies between the coordinator and the workers; `ports` by group."""

    citus: Citus
    site: Site
    coordinator: PatroniMember
    folder: str
    ports: dict[int, int]
    servers: dict[int, str] = field(default_factory=dict)

    def journal(self, group: int) -> list[dict[str, Any]]:
        """What the proxy before a group has written, read through PostgreSQL on the same machine."""
        with self.citus.at(self.coordinator) as connection:
            [(text,)] = connection.run("SELECT pg_read_file(%s)", (f"{self.folder}/{group}",), within_s=LOOK_WITHIN_S)
        return [json.loads(line) for line in text.splitlines()]

    def texts(self, group: int, event: str) -> list[str]:
        return [entry["text"] for entry in self.journal(group) if entry["event"] == event]

    def wait_held(self, groups: Sequence[int], *, within_s: float = 30.0) -> dict[int, str]:
        """Wait until a message to, or from, each of these groups is held; returns the messages."""
        return {
            group: eventually(
                partial(self.texts, group, "held"), within_s=within_s, every_s=0.1,
                what=f"a message that the proxy before group {group} holds",
            )[0]
            for group in groups
        }  # fmt: skip

    def open(self) -> None:
        """Let everything pass from now on."""
        self.play("opened")

    def forget(self, *, within_s: float = WRITABLE_WITHIN_S) -> None:
        """Let Citus connect to the workers themselves again, as soon as a coordinator accepts writes."""
        rows = [pool(port) for port in self.ports.values()]
        eventually(
            lambda: self.citus.ask(FORGET, (rows,), within_s=LOOK_WITHIN_S) == [], within_s=within_s,
            what="a coordinator that accepts writes",
        )  # fmt: skip

    def play(self, state: str, *, member: PatroniMember | None = None, options: Sequence[str] = ()) -> None:
        files = self.citus.certificates
        servers = [{"group": group, "port": port, "server": self.servers[group]} for group, port in self.ports.items()]
        self.site.plays.must(
            PROXY_PLAYBOOK,
            {
                "proxy_host": (member or self.coordinator).name, "proxy_state": state, "proxy_servers": servers,
                "proxy_options": list(options), "proxy_folder": self.folder, "proxy_ttl": PROXY_TTL_S,
                "proxy_database": self.citus.cluster.patroni.database,
                "proxy_tls": {"ca": files["sslrootcert"], "cert": files["sslcert"], "key": files["sslkey"]},
            },
            name=f"proxy-{state}", within_s=FAULT_WITHIN_S,
        )  # fmt: skip


@contextmanager
def holding(citus: Citus, site: Site, *options: str) -> Iterator[Held]:
    """Proxies before every group of workers, that hold what `options` of pgproxy.py say; none is left afterwards.

    Each machine of the coordinator's group gets them, since where Citus looks for the workers is replicated; only those
    of the present leader hold anything.
    """
    token, first = secrets.token_hex(4), random.randrange(20000, 30000)  # noqa: S311 (a port that is likely free)
    held = Held(
        citus, site, citus.primary(0), f"/run/halab-pgproxy-{token}",
        {group: first + number for number, group in enumerate(citus.workers)},
    )  # fmt: skip
    for group in citus.workers:
        worker = citus.primary(group)
        held.servers[group] = f"{worker.host.address}:{worker.postgresql_port}"
    members = citus.members(0)
    try:
        for member in members:
            held.play("started", member=member, options=options if member == held.coordinator else ())
        for group, port in held.ports.items():
            citus.ask(POOLED, (pool(port), group))
        yield held
    finally:
        try:
            held.forget()
        finally:
            _remove(held, members)


def _remove(held: Held, members: Sequence[PatroniMember]) -> None:
    """End the proxies on every machine that is there; those of one without power ended with it."""
    problems = []
    for member in members:
        try:
            eventually(_ended(held, member), within_s=WRITABLE_WITHIN_S, what=f"{member.name} to answer")
        except HalabError as error:
            problems.append(str(error))
    if problems:
        raise HalabError("; ".join(problems))


def _ended(held: Held, member: PatroniMember) -> Callable[[], bool]:
    def attempt() -> bool:
        held.play("absent", member=member)
        return True

    return attempt


def pool(port: int) -> str:
    """How Citus is told to connect elsewhere: https://docs.citusdata.com/en/stable/develop/api_metadata.html"""
    return f"host=127.0.0.1 port={port}"
