"""History files: whole lines only, readable after a kill, strict everywhere but at a torn end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tests.unit.checkers.simulate import simulate_failover

from halab.history import (
    Complete,
    Header,
    HistoryError,
    HistoryWriter,
    Invoke,
    Observation,
    Opaque,
    Phase,
    Record,
    WriterError,
    codec,
    read_history,
    read_records,
)
from halab.history.writer import FLUSH_SECONDS

HEADER = Header(t=1, run="drill/1", wall="2026-11-21T10:15:00Z", host="recorder")
INVOKE = Invoke(t=2, op=1, process=1, client="writer-1", endpoint="write", f="append", value=1)


def encode(record: Record) -> str:
    return codec.encode(record).decode()


def lines(*records: str) -> str:
    return "\n".join((encode(HEADER), *records)) + "\n"


def test_a_simulated_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    records = simulate_failover(7)
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path, HEADER) as writer:
        for record in records[1:]:
            writer.write(record)
    file = read_records(path)
    assert file.records == (HEADER, *records[1:])
    assert file.torn == ""
    assert read_history(path).truncated() == ""


@pytest.mark.parametrize("kept", [1, 20, -2])
def test_a_torn_last_line_is_left_out_and_reported(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(lines(encode(INVOKE)) + encode(Phase(t=9, name="end"))[:kept])
    file = read_records(path)
    assert file.records == (HEADER, INVOKE)
    assert "line 3 was cut short" in file.torn
    assert "line 3" in read_history(path).truncated()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"kind":"cnmplete","t":3,"op":1,"type":"ok"}', '1 record of unknown kind "cnmplete"'),
        ('{"kind":"complete","t":3,"op":1,"type":"ok","valud":1}', 'kind complete with the unknown key "valud"'),
        ('{"kind":"observe","t":3,"t_end":4,"node":"a","source":"etcd","ok":true,"lick":null}', "kind observe"),
        ('{"kind":"fault","t":3,"id":"a","fault":"b","target":"c","event":"gone","detaim":{}}', '"detaim"'),
    ],
)  # fmt: skip
def test_a_name_that_nobody_writes_makes_a_history_doubtful(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(lines(encode(INVOKE), line, encode(Phase(t=9, name="end"))))
    assert words in read_history(path).truncated()


def test_a_strange_name_is_counted_once_however_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(lines('{"kind":"weather"}', '{"kind":"weather"}', encode(INVOKE)) + '{"kind":"torn')
    assert read_records(path).strange == '2 records of unknown kind "weather"'


def test_many_strange_names_are_told_in_short(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(lines(*(f'{{"kind":"strange-{number}"}}' for number in range(9))))
    assert read_records(path).strange.endswith('1 record of unknown kind "strange-2", 6 more such names')


def test_what_the_recorder_notes_is_not_strange(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    looked = Observation(t=3, t_end=4, node="a", source="etcd", ok=True, extra={"term": 1, "lock": None})
    done = Complete(t=3, op=1, type="ok", extra={"member": "a", "mod_revision": 4})
    note = Opaque(kind="interrupted", fields={"t": 5, "reason": "SIGTERM"})
    path.write_text(lines(*map(encode, (INVOKE, looked, done, note, Phase(t=9, name="end")))))
    assert read_history(path).truncated() == ""


def test_a_line_torn_inside_a_character_is_reported_too(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(lines().encode() + b'{"kind":"phase","name":"\xc3')
    assert "line 2" in read_records(path).torn


def test_bytes_that_are_no_text_are_refused_inside_a_file(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(lines().encode() + b'{"kind":"weather\xff"}\n' + encode(INVOKE).encode() + b"\n")
    with pytest.raises(HistoryError, match=r":2: not a JSON record"):
        read_records(path)


def test_a_whole_last_line_without_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(lines(encode(INVOKE)).rstrip("\n"))
    assert read_records(path).records == (HEADER, INVOKE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lines('{"kind":"phase"', encode(INVOKE)), [":2: not a JSON record"]),
        (lines(encode(INVOKE), "", encode(INVOKE)), [":3: not a JSON record"]),
        (lines('{"kind":"phase","t":1,"name":"lunch"}'), [":2: key name", '"lunch"']),
        (lines('{"kind":"phase","t":1,"name":"lunch"}').rstrip(), [":2: key name"]),
        (encode(INVOKE) + "\n", [":1: the first record must be of kind header, found invoke"]),
        ("", ["holds no record"]),
        ('{"kind":"he', ["holds no record"]),
        (lines(encode(HEADER)), ["expected one record of kind header, found 2"]),
        (lines(encode(INVOKE), encode(INVOKE)), ["key op: 1 is invoked twice"]),
        (lines(encode(Complete(t=3, op=1, type="ok"))), ["key op: 1 completes", "never invoked"]),
        (lines(encode(INVOKE), *[encode(Complete(t=3, op=1, type="ok"))] * 2), ["key op: 1 completes twice"]),
        (lines(encode(INVOKE), encode(Complete(t=1, op=1, type="ok"))), ["key t: operation 1 completes at 1"]),
    ],
)
def test_a_broken_file_is_refused_by_file_and_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(text)
    with pytest.raises(HistoryError) as caught:
        read_history(path)
    assert all(word in str(caught.value) for word in [str(path), *words]), caught.value


def test_the_line_number_is_right_far_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    good = encode(Phase(t=9, name="end"))
    path.write_text(lines(*[good] * 20_000, '{"kind":"phase","t":1}', good))
    with pytest.raises(HistoryError, match=r":20002: key name: missing"):
        read_records(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        read_records(tmp_path / "nowhere.jsonl")


def test_an_existing_history_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("precious\n")
    with pytest.raises(FileExistsError):
        HistoryWriter(path, HEADER)
    assert path.read_text() == "precious\n"


def test_records_reach_the_file_while_the_writer_is_open(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path, HEADER) as writer:
        assert read_records(path).records == (HEADER,), "a header must not wait"
        writer.write(Phase(t=2, name="load-start"))
        assert len(read_records(path).records) == 2, "a phase must not wait"
        writer.write(INVOKE)
        until = time.monotonic() + 5
        while len(read_records(path).records) < 3 and time.monotonic() < until:
            time.sleep(FLUSH_SECONDS / 5)
        assert read_records(path).records[-1] == INVOKE


def test_flush_interval_keeps_the_contract() -> None:
    assert FLUSH_SECONDS <= 0.1


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path, HEADER) as writer:

        def write(base: int) -> None:
            for number in range(2_000):
                writer.write(
                    Invoke(t=2, op=base + number, process=1, client="c", endpoint="write", f="append", value=base)
                )

        threads = [threading.Thread(target=write, args=(base * 10_000,)) for base in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_history(path).operations) == 16_000


def test_a_closed_writer_refuses_records(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path / "history.jsonl", HEADER)
    writer.close()
    writer.close()
    with pytest.raises(WriterError, match="closed"):
        writer.write(INVOKE)


def test_a_full_disk_ends_the_recording_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = HistoryWriter(tmp_path / "history.jsonl", HEADER)

    def full(_file: int, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("halab.history.writer.os.write", full)
    with pytest.raises(WriterError, match="No space left"):
        writer.write(Phase(t=2, name="load-start"))
    with pytest.raises(WriterError, match="No space left"):
        writer.write(INVOKE)
    with pytest.raises(WriterError, match="No space left"):
        writer.close()


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("halab.history.writer.os.write", lambda file, data: write(file, data[:7]))
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path, HEADER) as writer:
        writer.write(INVOKE)
    assert read_records(path).records == (HEADER, INVOKE)


def test_a_killed_recorder_leaves_a_readable_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from halab.history import Header, HistoryWriter, Invoke
        writer = HistoryWriter(Path(sys.argv[1]), Header(t=1, run="r", wall="w", host="h"))
        op = 0
        while True:
            op += 1
            writer.write(Invoke(t=op, op=op, process=1, client="c", endpoint="write", f="append", value=op))
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program, str(path)], env=environment) as recorder:
        try:
            until = time.monotonic() + 30
            while (not path.exists() or path.stat().st_size < 200_000) and time.monotonic() < until:
                time.sleep(0.01)
        finally:
            recorder.send_signal(signal.SIGKILL)
    history = read_history(path)
    assert len(history.operations) > 1_000
    assert [operation.invoke.op for operation in history.operations] == list(range(1, len(history.operations) + 1))
    assert "no phase 'end'" in history.truncated() or "cut short" in history.truncated()
