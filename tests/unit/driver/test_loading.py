"""What `halab load` is asked for, as a scenario."""

from __future__ import annotations

from typing import Any

import pytest

from halab import scenario
from halab.driver.loading import Load, document
from halab.errors import InputError


def made(*workloads: str, users: int = 12, duration: str = "30s", rate: float = 0, **more: Any) -> scenario.Scenario:
    wanted = Load(workloads=workloads, users=users, duration=duration, rate=rate, **more)
    return scenario.parse(document(wanted), name="load", source="test")


def test_rows_are_written_by_two_thirds_and_read_by_the_others() -> None:
    load = made("rows", users=9, rate=5)
    assert load.workload is not None
    assert (load.workload.writers, load.workload.readers, load.workload.write_rate) == (6, 3, 5)
    assert load.before == 30
    assert not load.destructive
    assert {promise.name for promise in load.promises} == {"lost_writes", "rows_equal"}


def test_users_are_shared_out() -> None:
    load = made("bank", "counter", "rows", users=8, settings=("bank.accounts=20", "bank.isolation=serializable"))
    assert {each.name: each.clients for each in load.workloads} == {"bank": 3, "counter": 3}
    assert load.workload is not None
    assert load.workload.writers + load.workload.readers == 2
    bank = next(each for each in load.workloads if each.name == "bank")
    assert (bank.parameters["accounts"], bank.parameters["isolation"]) == (20, "serializable")


def test_a_route_is_for_those_who_know_it() -> None:
    load = made("bank", "redis_writes", route="multi_host")
    assert {each.name: each.route for each in load.workloads} == {"bank": "multi_host", "redis_writes": "sentinel"}
    assert made("cache", route="direct").workloads[0].route == "direct"
    rows = made("rows", route="multi_host").workload
    assert rows is not None
    assert (rows.route, rows.read_route) == ("multi_host", "read")
    both = made("bank", "sessions", settings=("sessions.route=direct",))
    assert {each.name: each.route for each in both.workloads} == {"bank": "write", "sessions": "direct"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"workloads": ("bnak",)}, "Is `bank` meant?"),
        ({"users": 0}, "is too few"),
        ({"duration": "soon"}, "is not a duration"),
        ({"settings": ("accounts=3",)}, "bank.accounts=20"),
        ({"settings": ("bank.accounts",)}, "is not a setting"),
        ({"settings": ("bank.accounts=[",)}, "set = 'bank.accounts=[': has no value that can be read"),
        ({"settings": ("bank.accounts=" + "9" * 5000,)}, "has no value that can be read"),
        ({"settings": ("register.keys=5",)}, "is for register, which does not run. Workloads of this load: bank."),
        ({"settings": ("bnak.accounts=5",)}, "Is `bank` meant?"),
        ({"settings": ("rows.writers=5",), "workloads": ("rows",)}, "set = 'rows.writers=5': is not for rows"),
        ({"settings": ("bank.accounts=5", "bank.accounts=6")}, "set = 'bank.accounts=6': is set twice"),
        ({"workloads": ("bank", "bank")}, "workload = 'bank': is named twice"),
        ({"route": "nowhere"}, "route = 'nowhere': is no route of bank. Routes of bank: write, multi_host, direct."),
        ({"route": "direct", "workloads": ("rows", "bank")}, "is no route of rows. Routes of rows: write, multi_host."),
        ({"route": "write", "workloads": ("bank", "sessions")}, "is no route of sessions. Routes of sessions: read"),
        ({"route": "write", "workloads": ("redis_writes",)}, "is for workloads on PostgreSQL"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], words: str) -> None:
    wanted: dict[str, Any] = {"workloads": ("bank",), "users": 4, "duration": "5s", "rate": 0, **more}
    with pytest.raises(InputError) as caught:
        document(Load(**wanted))
    assert words in str(caught.value)
