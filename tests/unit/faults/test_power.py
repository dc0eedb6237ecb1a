"""Kinds of the fault power with a machine whose switch is a file."""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.faults.conftest import Machine

from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.power import HOOKS, KINDS, is_controller, plan_of
from ansible_collections.halab.faults.plugins.modules.power import DEFAULTS, act

Arguments = Callable[..., dict[str, Any]]


@pytest.fixture
def hooks(machine: Machine) -> dict[str, list[str]]:
    """All that a site can do; the file takes the word for the state that it leads to."""
    words = {"reset": "on", "freeze": "frozen", "thaw": "on", "lose": "off"}
    return {f"{hook}_command": machine.command(word) for hook, word in words.items()}


@pytest.mark.parametrize(("kind", "state"), [("freeze", "frozen"), ("loss", "off"), ("off", "off")])
def test_kinds_are_injected_and_undone(
    arguments: Arguments, hooks: dict[str, list[str]], machine: Machine, kind: str, state: str
) -> None:
    injected = act(arguments(kind=kind, **hooks), check_mode=False)
    assert machine.state == state
    assert injected["evidence"] and injected["active"]
    healed = act(arguments(kind=kind, state="healed"), check_mode=False)
    assert machine.state == "on" and healed["changed"]


def test_one_fault_of_power_at_a_time(arguments: Arguments, hooks: dict[str, list[str]], machine: Machine) -> None:
    act(arguments(kind="freeze", **hooks), check_mode=False)
    with pytest.raises(FaultError, match=r"fault drill-1 \(power on pg1 \(freeze\)\) is acting on it"):
        act(arguments(id="drill-2", **hooks), check_mode=False)
    with pytest.raises(FaultError, match=r"is in use by fault power on pg1 \(freeze\)"):
        act(arguments(kind="loss", **hooks), check_mode=False)
    assert machine.state == "frozen"


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, hook) for kind, (needed, *_rest) in KINDS.items() for hook in needed if kind != "reset"],
)
def test_a_missing_hook_is_named_with_an_example(
    arguments: Arguments, hooks: dict[str, list[str]], machine: Machine, kind: str, missing: str
) -> None:
    given = arguments(kind=kind, **hooks) | {f"{missing}_command": []}
    with pytest.raises(FaultError) as refused:
        act(given, check_mode=False)
    assert f"{missing}_command of pg1: not given, so kind = {kind}" in str(refused.value)
    assert HOOKS[missing] in str(refused.value) and "machine_power" in str(refused.value)
    assert machine.state == "on" and not machine.asked("off")


def test_a_reset_needs_its_hook_or_both_others(arguments: Arguments, machine: Machine) -> None:
    refused = arguments(kind="reset", address="192.0.2.1", on_command=[])
    with pytest.raises(FaultError, match=r"reset_command of pg1: not given"):
        act(refused, check_mode=False)
    with pytest.raises(FaultError, match=r"address of pg1: not given"):
        act(arguments(kind="reset"), check_mode=False)
    plan = plan_of({**DEFAULTS, **arguments(kind="reset", address="192.0.2.1")})
    assert plan.inject[-2:] == (tuple(machine.command("off")), tuple(machine.command("on")))


def test_a_frozen_machine_is_not_as_it_must_be(arguments: Arguments, machine: Machine) -> None:
    (machine.folder / "state").write_text("frozen")
    with pytest.raises(FaultError, match=r"is not as it must be.*says frozen"):
        act(arguments(), check_mode=False)


class Server(socketserver.ThreadingTCPServer):
    """A server that can be told to look restarted."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.restarted = threading.Event()
        super().__init__(("127.0.0.1", 0), Greeter)


class Greeter(socketserver.BaseRequestHandler):
    """An SSH server as far as anybody looks: it greets, and holds the connection until the server is shut."""

    def handle(self) -> None:
        self.request.sendall(b"SSH-2.0-scratch\r\n")
        assert isinstance(self.server, Server)
        while not self.server.restarted.wait(0.05):
            continue


@pytest.fixture
def ssh_server() -> Iterator[tuple[int, threading.Event]]:
    """A server at another address than ours, whose connections end when the event is set."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1]), server.restarted
        server.restarted.set()
        server.shutdown()


def test_a_reset_is_seen_by_the_connection_that_it_cuts(
    arguments: Arguments,
    machine: Machine,
    ledger_dir: Path,
    ssh_server: tuple[int, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, restarted = ssh_server
    marker = machine.folder / "restarted"
    threading.Thread(target=lambda: (_await(marker), restarted.set()), daemon=True).start()
    monkeypatch.setattr("ansible_collections.halab.faults.plugins.module_utils.power.is_controller", lambda *_: False)
    reset = [sys.executable, "-c", f"import pathlib; pathlib.Path({str(marker)!r}).touch()"]
    request = arguments(kind="reset", address="127.0.0.1", port=port, reset_command=reset)
    injected = act(request, check_mode=False)
    assert f"127.0.0.1 port {port} that was open before was" in injected["evidence"][0]
    restarted.clear()
    assert not act(request, check_mode=False)["changed"]
    act(arguments(state="healed"), check_mode=False)
    assert not list(ledger_dir.glob(".drill-1.watch*")) and not list(ledger_dir.glob("[!.]*"))


def test_a_reset_that_cuts_nothing_is_not_believed(
    arguments: Arguments, ledger_dir: Path, ssh_server: tuple[int, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansible_collections.halab.faults.plugins.module_utils.power.is_controller", lambda *_: False)
    request = arguments(kind="reset", address="127.0.0.1", port=ssh_server[0], reset_command=["true"])
    with pytest.raises(FaultError, match=r"not observed within 2 s: a connection to .* is open\. It was undone"):
        act(request, check_mode=False)
    assert not list(ledger_dir.glob("[!.]*")) and not list(ledger_dir.glob(".drill-1.watch*"))


def _await(path: Path) -> None:
    event = threading.Event()
    while not path.exists():
        event.wait(0.02)


def test_the_controller_is_known_by_its_addresses() -> None:
    assert is_controller("pg1", "127.0.0.1") and is_controller("localhost", "")
    assert not is_controller("pg1", "192.0.2.1") and not is_controller("pg1", "pg1.example")
