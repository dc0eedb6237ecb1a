"""Settings changed on a machine: the real program follows, the original comes back, and other people's work stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node

FILE = "/etc/halab-test.conf"
HAPROXY = """\
global
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
listen status
  bind 127.0.0.1:8098
  monitor-uri /alive
"""


@pytest.fixture
def made(node: Node) -> Iterator[Node]:
    """A machine with a file of somebody who is not root."""
    node.run(f"cat > {FILE}; chown nobody:nogroup {FILE}; chmod 640 {FILE}; touch -d 2020-01-02T03:04:05.6 {FILE}",
             given="timeout 5\nretries 3\n")  # fmt: skip
    try:
        yield node
    finally:
        node.run(f"rm -f {FILE}")


def look(node: Node) -> str:
    return node.run(f"stat -c '%U %G %a %y' {FILE}; cat {FILE}")


def test_a_program_follows_its_changed_file(node: Node) -> None:
    """HAProxy itself, reloaded, answers otherwise; after the heal as before."""
    node.run("mkdir /run/balancer; cat > /run/balancer/haproxy.cfg", given=HAPROXY)
    node.run("systemd-run --quiet --unit balancer haproxy -Ws -f /run/balancer/haproxy.cfg")
    alive = "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8098/alive\", timeout=2)'"
    try:
        node.await_holds(alive, within_s=5)
        change = {"regexp": "monitor-uri /alive", "replace": "monitor-uri /other"}
        apply = ["systemctl", "kill", "--signal=USR2", "--kill-whom=main", "balancer"]
        with node.fault("config", path="/run/balancer/haproxy.cfg", apply=apply, **change):
            node.await_holds(f"! {alive}", within_s=5)
        node.await_holds(alive, within_s=5)
    finally:
        node.run("systemctl stop balancer; systemctl reset-failed balancer 2>/dev/null; rm -r /run/balancer")


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ({"regexp": "retries 3", "replace": "retries 0"}, "retries 0"),
        ({"append": "maxconn 1"}, "maxconn 1"),
        ({"content": "nothing else\n"}, "nothing else"),
    ],
)
def test_edit_and_back(made: Node, how: dict[str, str], line: str) -> None:
    before = look(made)
    with made.fault("config", path=FILE, **how):
        now = look(made)
        assert line in now.splitlines()
        assert now.startswith("nobody nogroup 640 "), "rights stay"
    assert look(made) == before


def test_a_file_that_was_not_there(node: Node) -> None:
    with node.fault("config", path=FILE, content="x"):
        assert node.run(f"cat {FILE}") == "x"
    assert not node.holds(f"ls {FILE}")


def test_somebody_elses_change_is_not_overwritten(made: Node) -> None:
    before = look(made)
    made.module("config", id="c", ttl=60, path=FILE, append="ours")
    made.run(f"echo theirs >> {FILE}")
    with pytest.raises(ModuleFailed, match=r"was changed by somebody else.*heal again.*The ledger keeps"):
        made.module("config", id="c", state="healed")
    assert "theirs" in look(made)
    assert [entry["id"] for entry in made.entries()] == ["c"]
    made.run(f"sed -i /theirs/d {FILE}")
    made.module("config", id="c", state="healed")
    assert look(made) == before
    assert made.entries() == []


def test_a_program_that_refuses_the_change_undoes_it(made: Node) -> None:
    """A reload that fails with the change, and succeeds with the original."""
    before = look(made)
    with pytest.raises(ModuleFailed, match=r"failed with code 1.*It was undone"):
        made.module("config", id="c", ttl=60, path=FILE, append="broken", apply=["sh", "-c", f"! grep broken {FILE}"])
    assert look(made) == before


def test_a_change_without_effect_is_undone(made: Node) -> None:
    before = look(made)
    with pytest.raises(ModuleFailed, match=r"not observed within 1 s.*exits 1.*It was undone"):
        made.module("config", id="c", ttl=60, path=FILE, append="x", check_command=["false"], observed_within=1)
    assert look(made) == before


def test_two_changes_of_one_file_exclude_each_other(made: Node) -> None:
    made.run(f"ln -s {FILE} /run/other-name")
    try:
        with made.fault("config", path=FILE, append="x"), pytest.raises(ModuleFailed, match="is acting on it until"):
            made.module("config", id="second", ttl=20, path="/run/other-name", append="y")
    finally:
        made.run("rm /run/other-name")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "content, append, regexp: exactly one"),
        ({"append": "x", "path": "/etc/no-such-file"}, "path = '/etc/no-such-file'.*is not there"),
        ({"append": "x", "path": "/proc/sys/kernel/hostname"}, "cannot be written|not a regular file|would change"),
        ({"regexp": "nowhere in it"}, "nothing that matches"),
        ({"append": "x", "ttl": -1}, "ttl = -1"),
        ({"append": "x", "apply": ["no-such-program"]}, "no-such-program: is not installed"),
        ({"kind": "patroni", "path": None}, "endpoints: is missing"),
    ],
)
@pytest.mark.thorough
def test_refused_by_name(made: Node, parameters: dict[str, object], named: str) -> None:
    before = look(made)
    with pytest.raises(ModuleFailed, match=named):
        made.module("config", **{"id": "c", "ttl": 20, "path": FILE, **parameters})
    assert made.entries() == []
    assert look(made) == before
