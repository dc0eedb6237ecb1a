"""Which of a machine's processes are meant, with titles as the stack's services really have them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from ansible_collections.halab.faults.plugins.module_utils import process_select
from ansible_collections.halab.faults.plugins.module_utils.process_select import Selection, choose, protected
from ansible_collections.halab.faults.plugins.module_utils.procs import Process

SYSTEM = (
    # pid, parent, name, command line, unit
    (1, 0, "systemd", "/sbin/init", ""),
    (2, 0, "kthreadd", "", ""),
    (50, 2, "jbd2/sda1-8", "", ""),
    (60, 1, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", "ssh.service"),
    (61, 60, "sshd-session", "sshd-session: root@notty", "ssh.service"),
    (62, 61, "sh", "/bin/sh -c python3 AnsiballZ_process.py", "ssh.service"),
    (70, 1, "python3", "/usr/bin/python3 -I /var/lib/halab/ledger/.agent-0123abcd4567.pyz guard x y", ""),
    (100, 1, "patroni", "/usr/bin/python3 /usr/bin/patroni /etc/patroni/config.yml", "patroni.service"),
    (110, 100, "postgres", "/usr/lib/postgresql/17/bin/postgres -D /srv/data/main --port=5432", "patroni.service"),
    (111, 110, "postgres", "postgres: main: checkpointer ", "patroni.service"),
    (112, 110, "postgres", "postgres: main: background writer ", "patroni.service"),
    (113, 110, "postgres", "postgres: main: walwriter ", "patroni.service"),
    (114, 110, "postgres", "postgres: main: autovacuum launcher ", "patroni.service"),
    (115, 110, "postgres", "postgres: main: autovacuum worker app", "patroni.service"),
    (116, 110, "postgres", "postgres: main: walsender replicator 10.1.1.12(40112) streaming 0/3000148",
     "patroni.service"),
    (117, 110, "postgres", "postgres: main: walreceiver streaming 0/3000148", "patroni.service"),
    (118, 110, "postgres", "postgres: main: parallel worker for PID 121 ", "patroni.service"),
    (119, 110, "postgres", "postgres: main: startup recovering 000000010000000000000003", "patroni.service"),
    (120, 110, "postgres", "postgres: main: postgres postgres [local] idle", "patroni.service"),
    (121, 110, "postgres", "postgres: main: app shop 10.1.1.20(51000) INSERT waiting for 0/30001F0", "patroni.service"),
    (122, 110, "postgres", "postgres: main: app shop fe80::1(51001) idle", "patroni.service"),
    (123, 110, "postgres", "postgres: main: app shop 127.0.0.1(51002) idle in transaction", "patroni.service"),
    # Just born: it has the postmaster's command line until it knows what it is.
    (124, 110, "postgres", "/usr/lib/postgresql/17/bin/postgres -D /srv/data/main --port=5432", "patroni.service"),
    (200, 1, "etcd", "/usr/bin/etcd", "etcd.service"),
    (300, 1, "redis-server", "/usr/bin/redis-server 0.0.0.0:6379", "redis-server.service"),
    (301, 300, "redis-server", "redis-rdb-bgsave 0.0.0.0:6379", "redis-server.service"),
    (310, 1, "redis-sentinel", "/usr/bin/redis-sentinel 0.0.0.0:26379 [sentinel]", "redis-sentinel.service"),
    (400, 1, "haproxy", "/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg", "haproxy.service"),
    (401, 400, "haproxy", "/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg", "haproxy.service"),
    (402, 400, "haproxy", "/usr/sbin/haproxy -sf 401 -Ws -f /etc/haproxy/haproxy.cfg", "haproxy.service"),
    (500, 1, "keepalived", "/usr/sbin/keepalived --dont-fork", "keepalived.service"),
    (501, 500, "keepalived", "/usr/sbin/keepalived --dont-fork", "keepalived.service"),
    (600, 1, "vim", "vim /etc/patroni/config.yml", "session-3.scope"),
    (601, 1, "tail", "tail -f /var/log/postgres: main: checkpointer", "session-3.scope"),
)  # fmt: skip


def process(pid: int, ppid: int, name: str, title: str, unit: str = "") -> Process:
    words = tuple(title.split(" ")) if title and not title.startswith("postgres: ") else (title,) if title else ()
    return Process(pid=pid, started=1000 + pid, ppid=ppid, state="S", name=name, cmdline=words, unit=unit)


@pytest.fixture
def everyone(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    monkeypatch.setattr(process_select, "_namespace", lambda _pid: "pid:[1]")
    return [process(*row) for row in SYSTEM]


def numbers(chosen: Sequence[Process]) -> list[int]:
    return [process.pid for process in chosen]


KNOWN: dict[str, list[int]] = {
    "postmaster": [110],
    "backend": [121, 122, 120, 123],
    "walsender": [116],
    "walreceiver": [117],
    "checkpointer": [111],
    "patroni": [100],
    "etcd": [200],
    "redis": [300],
    "sentinel": [310],
    "haproxy": [400, 401, 402],
    "haproxy_master": [400],
    "haproxy_worker": [401, 402],
    "keepalived": [500, 501],
}


@pytest.mark.parametrize(("target", "expected"), KNOWN.items())
def test_known_targets(everyone: list[Process], target: str, expected: list[int]) -> None:
    assert numbers(choose(Selection(target=target), everyone)) == expected


def test_every_known_target_is_tried() -> None:
    assert set(KNOWN) == set(process_select.KNOWN)


@pytest.mark.parametrize("prefix", ["postgres: ", "postgres: my: cluster: "])
def test_titles_without_and_with_odd_cluster_names(prefix: str) -> None:
    rows = [(10, 1, "postgres", "/bin/postgres -D /x"), (11, 10, "postgres", f"{prefix}app shop 10.0.0.1(5) idle"),
            (12, 10, "postgres", f"{prefix}walsender replicator 10.0.0.2(6) streaming 0/3"),
            (13, 10, "postgres", f"{prefix}checkpointer ")]  # fmt: skip
    everyone = [process(*row) for row in rows]
    assert numbers(choose(Selection(target="backend"), everyone)) == [11]
    assert numbers(choose(Selection(target="walsender"), everyone)) == [12]
    assert numbers(choose(Selection(target="checkpointer"), everyone)) == [13]


def test_orphans_of_a_dead_postmaster_are_no_postmaster() -> None:
    orphan = process(11, 1, "postgres", "postgres: main: checkpointer ")
    assert choose(Selection(target="postmaster"), [orphan]) == []


def test_unit_and_which(everyone: list[Process]) -> None:
    def chosen(which: str) -> list[int]:
        return numbers(choose(Selection(unit="haproxy.service", which=which), everyone, main_pid=400))

    assert chosen("main") == [400]
    assert chosen("children") == [401, 402]
    assert chosen("all") == [400, 401, 402], "parents first, so that they make no more children"


def test_name_and_match_both_hold(everyone: list[Process]) -> None:
    assert numbers(choose(Selection(match="checkpointer"), everyone)) == [111, 601]
    assert numbers(choose(Selection(name="postgres", match="checkpointer"), everyone)) == [111]
    assert numbers(choose(Selection(name="patroni"), everyone)) == [100]
    assert numbers(choose(Selection(name="python3", match="patroni"), everyone)) == [100], (
        "the program's name counts too"
    )
    assert choose(Selection(name="PATRONI"), everyone) == []


def test_the_largest_comes_first(everyone: list[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_select, "resident_bytes", lambda process: {123: 9, 121: 5}.get(process.pid, 1))
    selection = Selection(target="backend", largest=True)
    assert numbers(choose(selection, everyone))[:2] == [123, 121]
    assert selection.limit == 1
    assert Selection(target="backend", largest=True, count=2).limit == 2


def test_limits() -> None:
    assert Selection(target="backend").limit == 1
    assert Selection(target="walsender").limit == 0
    assert Selection(unit="x.service", which="main").limit == 1
    assert Selection(unit="x.service", which="all").limit == 0
    assert Selection(name="x", count=3).limit == 3


def test_protected(everyone: list[Process]) -> None:
    me = process(os.getpid(), 62, "python3", "/usr/bin/python3 AnsiballZ_process.py", "ssh.service")
    reasons = protected([*everyone, me])
    assert "PID 1" in reasons[1]
    assert "kernel" in reasons[2] and "kernel" in reasons[50]
    assert "SSH" in reasons[60] and "SSH" in reasons[61]
    assert "carries out" in reasons[62] and "carries out" in reasons[me.pid]
    assert "agent" in reasons[70]
    assert set(reasons) == {1, 2, 50, 60, 61, 62, 70, me.pid}


def test_what_must_return(everyone: list[Process]) -> None:
    """A session returns when its client likes, so its postmaster is what shows that PostgreSQL is whole."""
    assert Selection(target="backend", largest=True).returning == Selection(target="postmaster")
    assert Selection(target="etcd").returning == Selection(target="etcd")
    assert Selection(name="x", count=1).returning == Selection(name="x")


def test_a_selection_survives_its_way_through_a_command_line() -> None:
    for selection in (Selection(unit="a.service", which="all"), Selection(match="'\" $(x) é", count=2, largest=True)):
        assert Selection.load(selection.dump()) == selection


def test_labels_keep_secrets() -> None:
    """A password on a command line is not repeated; titles of PostgreSQL are."""
    secret = process(7, 1, "mysql", "mysql --password=hunter2", "db.service")
    assert process_select.label(secret) == "7 (mysql, db.service)"
    assert "walsender" in process_select.label(process(8, 1, "postgres", "postgres: main: walsender r 1.1.1.1(1) x"))
