"""The JSON form of records: what goes out comes back, and what breaks the contract is refused by key and value."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halab.history import (
    Complete,
    FaultEvent,
    FinalRead,
    Header,
    Invoke,
    Observation,
    Opaque,
    Phase,
    Record,
    RecordError,
    encode,
)
from halab.history.codec import Decoder

COMPLETE: dict[str, Any] = {"kind": "complete", "t": 5, "op": 1, "type": "ok", "server": "pg1", "timeline": 2}
FINAL: dict[str, Any] = {"kind": "final", "t": 5, "node": "pg1", "ids": [[1, 3], [7, 7]], "lag_s": 0}
TEXT = st.text(max_size=20)
WHOLE = st.integers(0, 2**62)
EXTRA = st.none() | st.dictionaries(st.sampled_from(["term", "revision"]), WHOLE | TEXT, min_size=1)


def decode(value: dict[str, Any]) -> Record:
    return Decoder().decode(json.dumps(value))


@st.composite
def records(draw: st.DrawFn) -> Record:
    t = draw(WHOLE)
    extra = draw(EXTRA)
    choices: list[Record] = [
        Header(t=t, run=draw(TEXT), wall=draw(TEXT), host=draw(TEXT), extra=extra),
        Phase(t=t, name="load-stop", extra=extra),
        Invoke(t=t, op=1, process=2, client=draw(TEXT), endpoint="write", f="append", value=draw(WHOLE)),
        Invoke(t=t, op=1, process=2, client="c", endpoint="w", f="r", key=draw(TEXT), value=[0.5], workload="bank"),
        Complete(t=t, op=1, type="info", error=draw(TEXT), value={"count": 1, "max": None}, extra=extra),
        Complete(t=t, op=1, type="ok", server=draw(TEXT), pid=3, timeline=2, lsn="0/1", in_recovery=False),
        FaultEvent(t=t, id="a", fault="power", target="pg1", event="gone", detail={"proof": [draw(TEXT)]}),
        Observation(t=t, t_end=t + draw(WHOLE), node="pg1", source="sql", ok=True, extra=extra),
        FinalRead(t=t, node="pg1", ids=((1, 2), (4, 4)), lag_s=0.5, extra=extra),
        Opaque(kind="weather", fields={"t": t, "text": draw(TEXT)}),
    ]
    return draw(st.sampled_from(choices))


@given(records())
def test_what_is_written_is_read_again(record: Record) -> None:
    line = encode(record).decode()
    assert "\n" not in line
    assert Decoder().decode(line) == record


@given(st.lists(records(), max_size=20))
def test_many_lines_at_once_read_like_one_by_one(written: list[Record]) -> None:
    assert Decoder().decode_many([encode(record).decode() for record in written]) == written


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (COMPLETE | {"t": "5"}, ['key t: expected an integer, found "5"']),
        (COMPLETE | {"t": True}, ["key t: expected an integer, found true"]),
        (COMPLETE | {"timeline": 1.5}, ["key timeline: expected an integer or null, found 1.5"]),
        (COMPLETE | {"in_recovery": 0}, ["key in_recovery: expected true or false or null, found 0"]),
        (COMPLETE | {"type": "maybe"}, ["key type: expected one of fail, info, ok", '"maybe"']),
        (COMPLETE | {"type": None}, ["key type", "null"]),
        ({"kind": "complete", "t": 5, "type": "ok"}, ["key op: missing from a record of kind complete"]),
        ({"kind": "phase", "t": 5, "name": "lunch"}, ["key name: expected one of end, final-start", '"lunch"']),
        ({"kind": "header", "t": 0, "run": "r", "wall": "w", "host": "h", "version": 2}, ["key version", "found 2"]),
        ({"kind": "observe", "t": 5, "t_end": 4, "node": "n", "source": "sql", "ok": True}, ["key t_end: 4"]),
        (FINAL | {"ids": [[3, 1]]}, ["key ids", "[3, 1]"]),
        (FINAL | {"ids": [[1, True]]}, ["key ids", "[1, true]"]),
        (FINAL | {"ids": [5]}, ["key ids", "found 5"]),
        (FINAL | {"lag_s": "0"}, ["key lag_s: expected an integer or a number or null"]),
        ({"t": 5}, ["key kind: expected a string, found null"]),
        ({"kind": 5}, ["key kind: expected a string, found 5"]),
    ],
)
def test_a_broken_record_is_refused_by_key_and_value(value: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RecordError) as caught:
        decode(value)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_shape_once_found_valid_does_not_hide_a_later_fault() -> None:
    decoder = Decoder()
    decoder.record(dict(COMPLETE))
    with pytest.raises(RecordError, match="key type"):
        decoder.record(COMPLETE | {"type": "maybe"})
    with pytest.raises(RecordError, match="key server"):
        decoder.record(COMPLETE | {"server": 7})
    with pytest.raises(RecordError, match="key op: missing"):
        decoder.record({key: value for key, value in COMPLETE.items() if key != "op"})


@pytest.mark.parametrize("line", ["[1]", "7", "null", '"text"'])
def test_a_line_that_is_no_object_is_refused(line: str) -> None:
    with pytest.raises(RecordError, match="expected an object"):
        Decoder().decode(line)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    line = f'{{"kind":"final","t":1,"node":"n","lag_s":{number}}}'
    with pytest.raises(ValueError, match="is not JSON"):
        Decoder().decode(line)
    assert Decoder().decode_many([line]) is None


def test_two_records_on_one_line_are_refused() -> None:
    line = encode(Phase(t=1, name="end")).decode()
    with pytest.raises(RecordError, match="text after the record"):
        Decoder().decode(line + line)
    assert Decoder().decode_many([f"{line},{line}"]) is None


def test_keys_of_a_newer_recorder_are_kept() -> None:
    record = decode(COMPLETE | {"term": 7})
    assert isinstance(record, Complete)
    assert record.extra == {"term": 7}
    assert json.loads(encode(record))["term"] == 7


def test_kinds_of_a_newer_recorder_are_kept() -> None:
    value = {"kind": "weather", "t": 5, "rain": True}
    record = decode(value)
    assert record == Opaque(kind="weather", fields={"t": 5, "rain": True})
    assert json.loads(encode(record)) == value


def test_an_extra_key_cannot_replace_one_of_the_contract() -> None:
    record = Complete(t=1, op=2, type="ok", extra={"type": "fail", "kind": "phase"})
    assert json.loads(encode(record))["type"] == "ok"
    assert json.loads(encode(record))["kind"] == "complete"


def test_the_word_extra_in_a_file_is_just_another_unknown_key() -> None:
    record = decode(COMPLETE | {"extra": {"a": 1}})
    assert isinstance(record, Complete)
    assert record.extra == {"extra": {"a": 1}}


@pytest.mark.parametrize("value", [None, True, 0, -(2**70), "", 'quoted "é" \n', [1, [2.5]], {"a": None}])
def test_every_way_of_writing_says_the_same(value: Any) -> None:
    plain = Complete(t=1, op=2, type="ok", value=value, in_recovery=False)
    invoked = Invoke(t=1, op=2, process=3, client="c", endpoint="write", f="append", key=value, value=value)
    for record in (plain, invoked):
        by_json = json.loads(encode(msgspec.structs.replace(record, extra={"term": 7})))
        assert by_json.pop("term") == 7
        assert list(json.loads(encode(record)).items()) == list(by_json.items())


def test_an_error_that_is_not_unicode_is_written() -> None:
    record = Complete(t=1, op=2, type="info", error="no such host \udcff")
    assert decode(json.loads(encode(record))) == record


def test_what_json_cannot_hold_is_not_written() -> None:
    for value in (float("nan"), [float("nan")]):
        with pytest.raises(ValueError, match="not JSON compliant"):
            encode(Complete(t=1, op=2, type="ok", value=value))
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(FinalRead(t=1, node="pg1", lag_s=float("nan")))
