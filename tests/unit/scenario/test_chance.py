"""Random schedules: the limits hold whatever is drawn, and the same seed draws the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scenario.clusters import COMPONENTS, LAB, MINIMAL, cluster

from halab import scenario
from halab.driver import drawing
from halab.driver.drawing import Wanted
from halab.errors import InputError
from halab.inventory import Cluster
from halab.scenario import catalogue, chance, targets
from halab.scenario.chance import Choice, Drawn
from halab.scenario.menu import MENU

GROUPS = st.fixed_dictionaries({name: st.integers(0 if name in ("haproxy", "redis") else 1, 5) for name in COMPONENTS})
CLUSTERS = st.builds(cluster, GROUPS, colocated=st.booleans())
AIMS = st.lists(st.sampled_from([*COMPONENTS, *targets.ROLES]), min_size=1, max_size=4, unique=True).map(tuple)
HOLDS = st.tuples(st.integers(0, 20), st.integers(0, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))
CHOICES = st.builds(Choice, st.sampled_from(["power", "freeze", "reset"]), AIMS, st.just({}), HOLDS)
MENUS = st.lists(CHOICES, min_size=1, max_size=5)


def acting(drawn: list[Drawn], second: int) -> list[Drawn]:
    """Faults whose machines count as touched in this second."""
    return [fault for fault in drawn if fault.at <= second < fault.at + fault.duration + chance.SETTLE_S]


def touched(fault: Drawn, where: Cluster) -> set[str]:
    parsed = targets.parse(fault.target)
    assert parsed is not None
    return set(targets.candidates(parsed, where))


@settings(max_examples=30, deadline=None)
@given(where=CLUSTERS, menu=MENUS, seed=st.integers(0, 2**32), duration=st.integers(60, 250))
def test_a_majority_of_every_component_is_untouched_in_every_second(
    where: Cluster, menu: list[Choice], seed: int, duration: int
) -> None:
    drawn = chance.draw(menu, where, seed=seed, duration_s=duration)
    for second in {fault.at for fault in drawn}:  # nothing else adds to what is touched
        now = acting(drawn, second)
        for component in COMPONENTS:
            members = {host.name for host in where.group(component)}
            # The worst that roles can turn out to be: each another machine.
            hit = sum(bool(touched(fault, where) & members) for fault in now)
            if component == "haproxy":
                assert not members or len(members) - hit >= 1
            else:
                assert not members or 2 * (len(members) - hit) > len(members)


@settings(max_examples=30, deadline=None)
@given(where=CLUSTERS, menu=MENUS, seed=st.integers(0, 2**32), loss=st.booleans())
def test_no_machine_is_touched_twice_at_a_time_and_all_is_over_in_time(
    where: Cluster, menu: list[Choice], seed: int, loss: bool
) -> None:
    drawn = chance.draw(menu, where, seed=seed, duration_s=300, allow_quorum_loss=loss)
    assert all(fault.at >= 0 and fault.at + fault.duration <= 300 for fault in drawn)
    assert [fault.at for fault in drawn] == sorted(fault.at for fault in drawn)
    for number, one in enumerate(drawn):
        low, high = one.choice.hold
        assert low <= one.duration <= high
        for two in drawn[number + 1 :]:
            if two.at < one.until:
                assert not touched(one, where) & touched(two, where)


@settings(max_examples=30, deadline=None)
@given(where=CLUSTERS, menu=MENUS, seed=st.integers(0, 2**32), loss=st.booleans())
def test_the_same_seed_draws_the_same(where: Cluster, menu: list[Choice], seed: int, loss: bool) -> None:
    once = chance.draw(menu, where, seed=seed, duration_s=200, allow_quorum_loss=loss)
    assert once == chance.draw(menu, where, seed=seed, duration_s=200, allow_quorum_loss=loss)


def test_seeds_differ_and_quorums_are_lost_only_where_that_is_allowed() -> None:
    menu = [Choice("power", ("etcd",), hold=(20, 30))]
    schedules = {str(chance.draw(menu, LAB, seed=seed, duration_s=300)) for seed in range(10)}
    assert len(schedules) > 5
    over = []
    for seed in range(10):
        drawn = chance.draw(menu, LAB, seed=seed, duration_s=300, allow_quorum_loss=True)
        over += [fault for fault in drawn if chance.over_limit(acting(drawn, fault.at), LAB)]
    assert over, "with the flag some quorum is lost, so the flag does something"


@pytest.mark.parametrize("where", [LAB, MINIMAL], ids=["lab", "minimal"])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_drawn_is_a_scenario_that_reads_back(where: Cluster, seed: int) -> None:
    drawn = drawing.drawn(Wanted(300), where, seed)
    assert drawn.faults
    again = scenario.parse(scenario.as_data(drawn), name="scenario", source="scenario.yml", cluster=where)
    assert again == drawn
    assert drawn == drawing.drawn(Wanted(300), where, seed)


def test_only_what_was_asked_for_is_drawn() -> None:
    drawn = drawing.drawn(Wanted(600, ("power",)), MINIMAL, 3)
    assert {fault.fault for fault in drawn.faults} == {"power"}
    without = drawing.drawn(Wanted(600), MINIMAL, 3, without={choice.key for choice in MENU if choice.fault != "reset"})
    assert {fault.fault for fault in without.faults} == {"reset"}
    assert {drawing.key_of(fault) for fault in drawn.faults} <= {choice.key for choice in MENU}


def test_the_menu_is_of_faults_that_exist_with_parameters_that_they_have() -> None:
    for choice in MENU:
        assert catalogue.spec(choice.fault).unknown(choice.parameters) == [], choice
        assert all(aim in (*COMPONENTS, *targets.ROLES) for aim in choice.aims), choice
    assert len({choice.key for choice in MENU}) == len(MENU)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600)])
def test_durations(text: str, seconds: int) -> None:
    assert drawing.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "-5m", "5 d", "9h", "1.5m", "1e3"])
def test_no_durations(text: str) -> None:
    with pytest.raises(InputError, match="is not a duration from 60 s to 4 h"):
        drawing.duration(text)


def test_refusals_name_the_fault() -> None:
    with pytest.raises(InputError, match=r"faults = 'pwer': is unknown. Is `power` meant\?"):
        drawing.check(Wanted(300, ("pwer",)))
    with pytest.raises(InputError, match="faults = 'switchover': is never drawn by chance"):
        drawing.check(Wanted(300, ("switchover",)))
    alone = cluster(dict.fromkeys(COMPONENTS, 1), colocated=True)
    with pytest.raises(InputError, match="none can be drawn for this inventory"):
        drawing.drawn(Wanted(60), alone, 1)
