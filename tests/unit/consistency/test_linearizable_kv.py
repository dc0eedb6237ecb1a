"""Histories of a key-value store with known verdicts, whole and cut off in the middle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.consistency import kv_data
from tests.unit.consistency.test_linearizable_reference import OBJECTS, proves_valid

from halab.consistency.columns import INFO, NEVER, OK
from halab.consistency.linearizable import NAME, check
from halab.consistency.models import KeyValue
from halab.verdict import Status

VALID = ("c01-ok", "c10-ok", "c50-ok")
INVALID = ("c01-bad", "c10-bad", "c50-bad")


@pytest.mark.parametrize("name", VALID)
def test_a_valid_history_has_an_order_that_explains_it(name: str) -> None:
    calls = kv_data.calls(kv_data.lines(name))
    finding = check(calls, model=KeyValue())
    assert finding.status is Status.VALID
    assert finding.judged == len(calls) > 50
    proves_valid(calls, OBJECTS["text"])


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_history_is_found_with_a_core_that_has_no_order(name: str) -> None:
    calls = kv_data.calls(kv_data.lines(name))
    finding = check(calls, model=KeyValue())
    assert finding.status is Status.INVALID
    assert {anomaly.name for anomaly in finding.anomalies} == {NAME}
    assert any(witness["exact"] for witness in finding.details["witnesses"])
    for witness in finding.details["witnesses"]:
        core = [calls[op] for op in witness["core"]]
        assert {repr(call.key) for call in core} == {*witness["keys"]}
        until = [
            call if call.complete <= witness["until"] else replace(call, outcome=INFO)
            for call in calls
            if repr(call.key) in witness["keys"] and call.invoke <= witness["until"]
        ]
        assert check(until, model=KeyValue()).status is Status.INVALID
        if not witness["exact"]:
            continue
        before = [call if call.complete < witness["until"] else replace(call, outcome=INFO) for call in until]
        assert check(before, model=KeyValue()).status is not Status.INVALID


@pytest.mark.parametrize("name", ["c10-ok", "c50-ok"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_valid_history_stays_so_where_it_is_cut_off(name: str, share: float) -> None:
    events = kv_data.lines(name)
    calls = kv_data.calls(events[: int(share * len(events))])
    assert any(call.complete == NEVER for call in calls)
    assert check(calls, model=KeyValue()).status is Status.VALID


@pytest.mark.parametrize("name", VALID)
def test_unknown_outcomes_take_nothing_from_a_valid_history(name: str) -> None:
    calls = kv_data.calls(kv_data.lines(name))
    calls = [replace(call, outcome=INFO) if call.op % 20 == 3 else call for call in calls]
    finding = check(calls, model=KeyValue())
    assert finding.status is Status.VALID


@pytest.mark.parametrize("name", VALID)
def test_a_stale_get_in_a_valid_history_is_found(name: str) -> None:
    calls = kv_data.calls(kv_data.lines(name))
    gets = [call for call in calls if call.f == "get" and call.outcome == OK]
    for late in gets[::-1]:
        appends = [c for c in calls if c.key == late.key and c.f == "append" and c.complete < late.invoke]
        old = [
            get
            for get in gets
            if get.key == late.key and get.complete < min([c.invoke for c in appends[-1:]], default=-1)
        ]
        if old and late.result not in {get.result for get in old}:
            calls[late.op] = replace(late, result=old[0].result)
            break
    finding = check(calls, model=KeyValue())
    assert finding.status is Status.INVALID
    assert late.op in {op for anomaly in finding.anomalies for op in anomaly.operations}
