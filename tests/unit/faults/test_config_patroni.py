"""Patroni's configuration: what a change and its restoration make of it, by the rules of its PATCH /config."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils.config_patroni import different, judged, leaves, restoring

KEYS = st.sampled_from(["ttl", "synchronous_mode", "postgresql", "parameters"])
SCALARS = st.one_of(st.integers(0, 3), st.booleans(), st.sampled_from(["on", "off", "1", "quorum"]))
CONFIGS = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=4),
    lambda inner: st.dictionaries(KEYS, st.one_of(SCALARS, inner), max_size=4),
    max_leaves=8,
)
SETTINGS = st.recursive(
    st.dictionaries(KEYS, st.one_of(st.none(), SCALARS), min_size=1, max_size=3),
    lambda inner: st.dictionaries(KEYS, st.one_of(st.none(), SCALARS, inner), min_size=1, max_size=3),
    max_leaves=6,
)


def patched(config: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What Patroni makes of a patch: null removes, mappings are merged, scalars are compared as text."""
    result = copy.deepcopy(config)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif key not in result:
            result[key] = copy.deepcopy(value)
        elif isinstance(value, dict):
            result[key] = patched(result[key], value) if isinstance(result[key], dict) else copy.deepcopy(value)
        elif str(result[key]) != str(value):
            result[key] = value
    return result


@given(CONFIGS, SETTINGS)
def test_everything_is_as_it_was(former: dict[str, Any], settings: dict[str, Any]) -> None:
    now = patched(former, settings)
    assert patched(now, restoring(now, former, settings)) == former


@given(CONFIGS, SETTINGS)
def test_restored_twice_changes_nothing(former: dict[str, Any], settings: dict[str, Any]) -> None:
    assert patched(former, restoring(former, former, settings)) == former


@given(CONFIGS, SETTINGS, st.integers(100, 200))
def test_what_somebody_else_set_stays(former: dict[str, Any], settings: dict[str, Any], theirs: int) -> None:
    """Every setting has got a value of somebody else meanwhile, so nothing is ours any more."""
    other = dict.fromkeys(settings, theirs)
    now = patched(patched(former, settings), other)
    assert patched(now, restoring(now, former, settings)) == now


def test_a_mapping_that_came_with_the_change_goes_with_it() -> None:
    settings = {"postgresql": {"parameters": {"fsync": "off"}}}
    assert restoring(settings, {}, settings) == {"postgresql": None}
    assert restoring(settings, {"postgresql": {}}, settings) == {"postgresql": {"parameters": None}}


def test_a_mapping_in_which_somebody_put_more_stays() -> None:
    settings = {"postgresql": {"parameters": {"fsync": "off"}}}
    now = {"postgresql": {"parameters": {"fsync": "off", "work_mem": "8MB"}}}
    assert restoring(now, {}, settings) == {"postgresql": {"parameters": {"fsync": None}}}


def test_only_what_is_still_ours_is_restored() -> None:
    former = {"ttl": 30, "synchronous_mode": True}
    settings = {"ttl": 40, "synchronous_mode": False}
    now = {"ttl": 50, "synchronous_mode": False}
    assert restoring(now, former, settings) == {"synchronous_mode": True}
    state, words = judged(now, former, settings)
    assert state == "mixed"
    assert "ttl is 50 by somebody else, and stays so" in words
    assert judged({**now, "synchronous_mode": True}, former, settings)[0] == "original"


def test_a_removed_setting_comes_back() -> None:
    former = {"postgresql": {"use_slots": True}}
    settings = {"postgresql": {"use_slots": None}}
    assert judged({"postgresql": {}}, former, settings)[0] == "changed"
    assert restoring({"postgresql": {}}, former, settings) == former


@given(CONFIGS, SETTINGS)
def test_a_member_that_shows_the_change_is_told(former: dict[str, Any], settings: dict[str, Any]) -> None:
    assume(different(former, settings))
    # A null below a mapping that is not there is kept by Patroni as it is, and no setting.
    now = patched(former, settings)
    assume(not different(now, settings))
    assert judged(now, former, settings)[0] == "changed"
    assert judged(former, former, settings)[0] == "original"


def test_settings_by_their_keys() -> None:
    assert list(leaves({"ttl": 1, "postgresql": {"parameters": {"fsync": "off"}, "use_slots": None}})) == [
        (("ttl",), 1),
        (("postgresql", "parameters", "fsync"), "off"),
        (("postgresql", "use_slots"), None),
    ]
