"""The table of timers, its rules, and the goals that each profile must be able to reach."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.stack.plugins.filter.ha_timing import ha_timing
from ansible_collections.halab.stack.plugins.module_utils import timing as timers

DEFAULT = timers.PROFILES["default"]


def keys(timing: timers.Timing) -> list[str]:
    return [problem.key for problem in timers.violations(timing)]


@pytest.mark.parametrize("name", timers.PROFILES)
def test_every_profile_obeys_every_rule(name: str) -> None:
    assert timers.violations(timers.PROFILES[name]) == []


def test_upstream_is_patroni_as_shipped() -> None:
    upstream = timers.PROFILES["upstream"]
    assert (upstream.ttl, upstream.loop_wait, upstream.retry_timeout) == (30, 10, 10)
    assert (upstream.primary_start_timeout, upstream.primary_stop_timeout) == (300, 0)


def test_estimates_reach_the_goals_of_each_profile() -> None:
    upstream = timers.outage(timers.PROFILES["upstream"])
    assert upstream.median <= 28
    assert upstream.median_with_etcd_leader <= 34
    default = timers.outage(DEFAULT)
    assert default.median <= 21
    assert max(default.worst, default.worst_with_etcd_leader) < 30
    assert timers.outage(timers.PROFILES["fast"]).median <= 20


def test_a_crash_in_place_is_given_up_within_the_promise() -> None:
    for name, limit in (("fast", 20), ("default", 30)):
        timing = timers.PROFILES[name]
        assert 2 * timing.loop_wait + timing.primary_start_timeout <= limit


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("ttl", {"ttl": 19}),
        ("loop_wait", {"loop_wait": 0}),
        ("retry_timeout", {"retry_timeout": 2}),
        ("haproxy_fall", {"haproxy_fall": 0}),
        ("sentinel_down_after_ms", {"sentinel_down_after_ms": 1999}),
        ("ttl", {"loop_wait": 7}),
        ("ttl", {"retry_timeout": 8}),
        ("primary_stop_timeout", {"primary_stop_timeout": 7}),
        ("etcd_election_ms", {"etcd_election_ms": 499}),
        ("etcd_election_ms", {"etcd_election_ms": 3500}),
        ("haproxy_check_timeout_ms", {"haproxy_check_timeout_ms": 4000}),
        ("haproxy_check_timeout_ms", {"haproxy_fall": 6}),
        ("vrrp_advert_ms", {"vrrp_advert_ms": 1005}),
        ("vrrp_advert_ms", {"vrrp_advert_ms": 3500}),
        ("sentinel_failover_timeout_ms", {"sentinel_failover_timeout_ms": 9999}),
    ],
)
def test_each_rule_names_its_key_its_value_and_a_fix(key: str, change: dict[str, int]) -> None:
    broken = replace(DEFAULT, **change)
    problem = next(found for found in timers.violations(broken) if found.key == key)
    assert problem.value == str(getattr(broken, key))
    assert "must be" in problem.fix


@pytest.mark.parametrize(
    "change",
    [
        {"primary_stop_timeout": 0},
        {"primary_start_timeout": 0},
        {"etcd_election_ms": 3499},
        {"etcd_election_ms": 500},
        {"haproxy_check_timeout_ms": 3999},
        {"vrrp_advert_ms": 3490},
        {"sentinel_failover_timeout_ms": 10000},
    ],
)
def test_the_last_sound_value_is_accepted(change: dict[str, int]) -> None:
    assert timers.violations(replace(DEFAULT, **change)) == []


def test_etcd_refuses_an_election_above_50_seconds() -> None:
    slow = replace(DEFAULT, ttl=400, retry_timeout=150, etcd_election_ms=50_001)
    assert keys(slow) == ["etcd_election_ms"]


def test_autobase_routers_would_outlive_the_lease() -> None:
    careless = replace(
        timers.PROFILES["upstream"], haproxy_inter_ms=3000, haproxy_check_timeout_ms=15000, haproxy_fastinter_ms=1000
    )
    assert careless.router_down_ms == 50_000
    assert keys(careless) == ["haproxy_check_timeout_ms"]


@given(st.builds(timers.Timing, **dict.fromkeys(timers.KEYS, st.integers(min_value=0, max_value=60_000))))
def test_no_accepted_timing_can_have_two_routable_leaders(timing: timers.Timing) -> None:
    if timers.violations(timing):
        return
    assert timing.ttl >= 20
    assert timing.loop_wait + 2 * timing.retry_timeout <= timing.ttl
    assert timing.router_down_ms < 1000 * (timing.ttl - timing.loop_wait)


def test_overrides_are_proven_on_the_result() -> None:
    timing, problems = timers.resolve("default", {"ttl": 40, "loop_wait": "10"})
    assert problems == []
    assert timing is not None
    assert (timing.ttl, timing.loop_wait) == (40, 10)
    assert [problem.key for problem in timers.resolve("default", {"loop_wait": 7})[1]] == [
        "ttl",
        "primary_stop_timeout",
    ]


@pytest.mark.parametrize("value", [True, -5, 2.5, "soon", None, [20]])
def test_a_timer_must_be_a_whole_number(value: object) -> None:
    timing, problems = timers.resolve("default", {"ttl": value})
    assert timing is None
    assert [(problem.key, problem.value) for problem in problems] == [("ha_timing_overrides.ttl", repr(value))]


def test_an_unknown_timer_is_named_with_the_likeliest_one() -> None:
    (problem,) = timers.resolve("default", {"loopwait": 6})[1]
    assert problem.key == "ha_timing_overrides.loopwait"
    assert "did you mean loop_wait?" in problem.fix


@pytest.mark.parametrize("name", ["Fast", "", None, 3, ["fast"]])
def test_an_unknown_profile_is_named_with_those_that_exist(name: object) -> None:
    timing, problems = timers.resolve(name)
    assert timing is None
    assert str(problems[0]) == f"ha_profile = {name!r}: choose one of fast, default, upstream"


def test_the_filter_gives_plain_data_or_an_error_with_key_value_and_fix() -> None:
    assert ha_timing("fast")["ttl"] == 20
    assert set(ha_timing("upstream", {"ttl": 31})) == set(timers.KEYS)
    with pytest.raises(AnsibleFilterError, match="ttl = 20: must be at least loop_wait"):
        ha_timing("fast", {"retry_timeout": 7})
    with pytest.raises(AnsibleFilterError, match="ha_profile = 'quick': choose one of"):
        ha_timing("quick")
    with pytest.raises(AnsibleFilterError, match="give a mapping"):
        ha_timing("fast", [1])  # type: ignore[arg-type]
