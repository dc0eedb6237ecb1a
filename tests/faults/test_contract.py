"""The contract of every fault, whatever its family: no trace in check mode, no change twice, and no trace in the end.

It runs with the first case of each family; with all of them by `--all-faults`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.faults.cases import Case, families, fault_modules
from tests.faults.support.lab import NAMES, ModuleFailed
from tests.faults.support.machines import CommandFailed, Machine, Node, Nodes
from tests.faults.support.snapshot import Snapshot

TTL_S = 8
# The contract's margin after the time to live.
MARGIN_S = 5.0
# From the request to the effect, on a machine that does other things too.
ACTS_WITHIN_S = 20.0
ENDS_WITHIN_S = 5.0

CASES = {case.name: (family, case) for family, cases in families().items() for case in cases}
ON_NODES = [name for name, (_family, case) in CASES.items() if case.where == "node"]


def chosen(names: list[str], config: pytest.Config) -> list[str]:
    """All of them when asked for, else the first of each family."""
    if config.getoption("--all-faults", default=False):
        return names
    return list({CASES[name][0]: name for name in reversed(names)}.values())[::-1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case_name` and `first_name`: one of each family; `pair`: two of different families on one machine."""
    if "case_name" in metafunc.fixturenames:
        metafunc.parametrize("case_name", chosen(list(CASES), metafunc.config))
    if "first_name" in metafunc.fixturenames:
        metafunc.parametrize("first_name", chosen(list(CASES), metafunc.config))
    if "lasting_name" in metafunc.fixturenames:
        lasting = [name for name in ON_NODES if CASES[name][1].outlives_boot]
        metafunc.parametrize("lasting_name", chosen(lasting, metafunc.config))
    if "pair" in metafunc.fixturenames:
        ring = chosen(ON_NODES, metafunc.config)
        pairs = list(zip(ring, [*ring[1:], *ring[:1]], strict=True)) if len(ring) > 1 else []
        metafunc.parametrize("pair", pairs, ids="+".join)


@contextlib.contextmanager
def scene(nodes: Nodes, name: str, place: str = "m1") -> Iterator[tuple[Case, Machine]]:
    """A case on a machine, prepared; `@m1@` in it is that machine and `@m2@`, `@m3@` are its peers."""
    start = NAMES.index(place)
    values = {alias: nodes[NAMES[(start + step) % len(NAMES)]].address for step, alias in enumerate(NAMES)}
    values |= {"state": str(nodes.controller.state), "power": str(nodes.controller.switch)}
    case = CASES[name][1].filled(values)
    machine: Machine = nodes[place] if case.where == "node" else nodes.controller
    try:
        if case.prepare:
            machine.run(case.prepare)
        yield case, machine
    except BaseException:
        with contextlib.suppress(ModuleFailed):
            machine.module("heal")
        raise
    finally:
        if case.cleanup:
            machine.run(case.cleanup)


def inject(machine: Machine, case: Case, *, ttl: int = 90, check: bool = False) -> dict[str, Any]:
    return machine.module(case.module, {**case.parameters, "id": case.name, "ttl": ttl}, check=check, diff=check)


def heal(machine: Machine, case: Case, *, check: bool = False) -> dict[str, Any]:
    return machine.module(case.module, {**case.parameters, "id": case.name, "state": "healed"}, check=check)


def must_act(machine: Machine, case: Case, otherwise: str) -> None:
    """Fail with `otherwise`, and what the look at the effect said, unless the fault acts."""
    try:
        machine.run(case.acting)
    except CommandFailed as error:
        pytest.fail(f"{otherwise}: {error}", pytrace=False)


def clean_in_time(machine: Machine, case: Case, before: Snapshot) -> None:
    """Wait for the fault's time to live and the margin; the machine must then be as before."""
    remaining = max((entry["remaining"] for entry in machine.entries() if entry["id"] == case.name), default=0.0)
    left = machine.await_equal(before, within_s=remaining + MARGIN_S)
    assert not left, f"not as before {MARGIN_S:g} s after the time to live:\n{left}"
    assert not machine.holds(case.acting)


def test_every_fault_module_has_cases() -> None:
    """A fault that nobody injects here is not known to keep the contract."""
    assert fault_modules() == {case.module for _family, case in CASES.values()}


def test_cases_are_told_apart() -> None:
    """One name for each case, and cases in each family."""
    names = [case.name for cases in families().values() for case in cases]
    assert sorted(names) == sorted(CASES)
    assert [family for family, cases in families().items() if not cases] == []


def test_check_mode_then_twice_then_healed_twice(nodes: Nodes, case_name: str) -> None:
    """Check mode leaves no trace; a second injection and a second heal change nothing; the effect comes and goes."""
    with scene(nodes, case_name) as (case, machine):
        before = machine.snapshot()
        assert not machine.holds(case.acting), f"`{case.acting}` holds without the fault"

        planned = inject(machine, case, check=True)
        assert planned["changed"] is True
        assert planned["commands"], "check mode does not say what it would do"
        assert machine.await_equal(before, within_s=0) == "", "check mode left a trace"

        injected = inject(machine, case)
        assert injected["changed"] is True
        assert injected["active"] is True
        assert injected["evidence"], "nothing is said to have been observed"
        assert {"injected_at", "expires_at", "commands"} <= injected.keys()
        must_act(machine, case, f"nothing acts, but the module saw: {injected['evidence']}")

        again = inject(machine, case)
        assert (again["changed"], again["active"]) == (False, True)

        asked = heal(machine, case, check=True)
        assert asked["changed"] is True
        must_act(machine, case, "check mode healed")

        healed = heal(machine, case)
        assert (healed["changed"], healed["active"]) == (True, False)
        assert not machine.holds(case.acting), "the fault acts after its heal"
        assert heal(machine, case)["changed"] is False
        assert machine.await_equal(before) == "", "the heal left a trace"


def driver_killed(machine: Machine, case: Case) -> None:
    """SIGKILL to all of Ansible as soon as the fault acts."""
    before = machine.snapshot()
    driver = machine.start_module(case.module, {**case.parameters, "id": case.name, "ttl": TTL_S})
    try:
        machine.await_holds(case.acting, within_s=ACTS_WITHIN_S)
    finally:
        driver.kill()
    clean_in_time(machine, case, before)


def ssh_cut(machine: Machine, case: Case) -> None:
    """Every SSH session dies while the fault is held."""
    assert isinstance(machine, Node)
    before = machine.snapshot()
    inject(machine, case, ttl=TTL_S)
    machine.cut_ssh()
    clean_in_time(machine, case, before)


def guardian_killed(machine: Machine, case: Case) -> None:
    """The guardian dies; the system starts another, and the fault acts on."""
    before = machine.snapshot()
    inject(machine, case, ttl=TTL_S)
    pattern = f"'agent-.* guard .* {case.name}$'"
    guardian = machine.run(f"pgrep -f {pattern}")
    machine.run(f"kill -KILL {guardian}")
    machine.await_holds(
        f'now=$(pgrep -f {pattern}) && [ -n "$now" ] && [ "$now" != {guardian} ]', within_s=ENDS_WITHIN_S
    )
    must_act(machine, case, "the fault went with its guardian")
    clean_in_time(machine, case, before)


def test_clean_whatever_dies(nodes: Nodes, first_name: str, subtests: pytest.Subtests) -> None:
    """The driver, every SSH session or the guardian dies: the machine is as before within ttl + 5 s.

    Each on a machine of its own and all at once, because most of it is waiting.
    """
    deaths = {"driver": driver_killed, "SSH": ssh_cut, "guardian": guardian_killed}
    if CASES[first_name][1].where == "controller":
        # The controller has no SSH session to lose, and promises no second guardian where systemd does not run.
        del deaths["SSH"], deaths["guardian"]

    def rehearse(place: str, death: Callable[[Machine, Case], None]) -> None:
        with scene(nodes, first_name, place) as (case, machine):
            death(machine, case)

    with ThreadPoolExecutor(max_workers=len(deaths)) as pool:
        rehearsals = {
            who: pool.submit(rehearse, place, death)
            for place, (who, death) in zip(NAMES, deaths.items(), strict=False)
        }  # fmt: skip
    for who, rehearsal in rehearsals.items():
        with subtests.test(f"{who} dies"):
            rehearsal.result()


@pytest.mark.parametrize("order", ["first in, first out", "last in, first out"])
def test_two_faults_overlap(nodes: Nodes, pair: tuple[str, str], order: str) -> None:
    """Two faults act on one machine at once, and healing one leaves the other, in either order."""
    before = nodes["m1"].snapshot()
    with scene(nodes, pair[0]) as (one, node), scene(nodes, pair[1]) as (other, _node):
        inject(node, one)
        inject(node, other)
        must_act(node, one, f"{other.name} ended {one.name}")
        must_act(node, other, f"{other.name} does not act beside {one.name}")
        earlier, later = (one, other) if order.startswith("first") else (other, one)
        heal(node, earlier)
        assert not node.holds(earlier.acting)
        must_act(node, later, f"the heal of {earlier.name} ended {later.name}")
        heal(node, later)
        assert not node.holds(later.acting)
    assert nodes["m1"].await_equal(before) == ""


def test_swept_at_boot(nodes: Nodes, lasting_name: str) -> None:
    """A machine that lost its power heals at its next start what would outlive that, long before the ttl is over."""
    with scene(nodes, lasting_name) as (case, _machine):
        node = nodes["m1"]
        before = node.snapshot()
        inject(node, case, ttl=600)
        node.power("off")
        node.power("on")
        node.await_up()
        node.await_holds(f"! ls /var/lib/halab/ledger/{case.name}.json", within_s=ENDS_WITHIN_S)
        assert not node.holds(case.acting), "the fault acts after the restart"
        assert node.await_equal(before) == ""
