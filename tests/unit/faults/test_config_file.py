"""A file that is edited and restored: what it becomes, and that nobody else's work is lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils.config_file import change, edited, restore, state
from ansible_collections.halab.faults.plugins.module_utils.config_record import ConfigError, Record

LINES = b"defaults\n  retries 3\n  option redispatch\n"


def edit(**changes: str) -> dict[str, Any]:
    return {"content": None, "append": None, "regexp": None, "replace": None, **changes}


@pytest.fixture
def record(tmp_path: Path) -> Record:
    (tmp_path / "ledger").mkdir()
    return Record.of(str(tmp_path / "ledger"), "drill-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "haproxy.cfg"
    made.write_bytes(LINES)
    made.chmod(0o640)
    os.utime(made, ns=(1_500_000_000_123_456_789, 1_500_000_000_987_654_321))
    return made


@pytest.mark.parametrize(
    ("original", "how", "new"),
    [
        (LINES, edit(regexp="retries 3", replace="retries 0"), LINES.replace(b"3", b"0")),
        (LINES, edit(regexp=r"^  option.*\n"), b"defaults\n  retries 3\n"),
        (LINES, edit(regexp=r"retries (\d)", replace=r"retries 1\1"), LINES.replace(b"3", b"13")),
        (LINES, edit(append="listen x"), LINES + b"listen x\n"),
        (b"no end", edit(append="listen x\n"), b"no end\nlisten x\n"),
        (b"", edit(append="x"), b"x\n"),
        (LINES, edit(content="x"), b"x"),
        (None, edit(content=""), b""),
        (b"\xff\xfe retries 3", edit(regexp="3", replace="4"), b"\xff\xfe retries 4"),
    ],
)
def test_edits(original: bytes | None, how: dict[str, Any], new: bytes) -> None:
    assert edited(original, how) == new


@pytest.mark.parametrize(
    ("original", "how", "reason"),
    [
        (LINES, edit(regexp="retries 4", replace="x"), "nothing that matches"),
        (LINES, edit(regexp="retries 3", replace="retries 3"), "nothing would change"),
        (LINES, edit(content=LINES.decode()), "nothing would change"),
        (LINES, edit(regexp="("), "no regular expression"),
        (LINES, edit(regexp="retries", replace=r"\9"), "no regular expression"),
        (None, edit(append="x"), "is not there"),
        (None, edit(regexp="x"), "is not there"),
    ],
)
def test_edits_that_are_none(original: bytes | None, how: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        edited(original, how)


def test_there_and_back(path: Path, record: Record) -> None:
    before = path.stat()
    change(path, record, edit(regexp="retries 3", replace="retries 0"))
    assert path.read_bytes() != LINES
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert state(path, record)[0] == "changed"
    assert stat.S_IMODE(record.path.stat().st_mode) == 0o600, "a configuration may hold a secret"
    for _again in range(2):
        restore(path, record)
        after = path.stat()
        assert path.read_bytes() == LINES
        assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
            before.st_mtime_ns,
        )
        assert state(path, record)[0] == "original"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["haproxy.cfg", "ledger"]


def test_a_file_that_was_not_there(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "new.conf"
    change(path, record, edit(content="x"))
    assert path.read_text() == "x"
    restore(path, record)
    assert not path.exists()
    restore(path, record)


@pytest.mark.parametrize("meanwhile", ["edited", "removed"])
def test_what_somebody_else_did_stays(path: Path, record: Record, meanwhile: str) -> None:
    change(path, record, edit(append="ours"))
    if meanwhile == "edited":
        path.write_bytes(path.read_bytes() + b"theirs\n")
    else:
        path.unlink()
    with pytest.raises(ConfigError, match=r"by somebody else since.*original is in"):
        restore(path, record)
    assert state(path, record)[0] == "foreign"
    assert path.exists() == (meanwhile == "edited")
    path.write_bytes(LINES)
    restore(path, record)
    assert state(path, record)[0] == "original"


def test_nothing_to_restore(path: Path, record: Record) -> None:
    restore(path, record)
    assert state(path, record)[0] == "original"
    assert path.read_bytes() == LINES


def test_changed_once(path: Path, record: Record) -> None:
    """A second injection must not take the changed file for the original."""
    change(path, record, edit(append="ours"))
    with pytest.raises(ConfigError, match="was changed before"):
        change(path, record, edit(append="again"))
    restore(path, record)
    assert path.read_bytes() == LINES


def test_a_torn_record_is_told(path: Path, record: Record) -> None:
    record.path.write_text("{")
    with pytest.raises(ConfigError, match="is not the record of a changed setting"):
        restore(path, record)


@given(original=st.binary(max_size=200), text=st.text(max_size=50))
def test_any_file_comes_back(tmp_path_factory: pytest.TempPathFactory, original: bytes, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    path, record = folder / "file", Record.of(str(folder), "drill-1")
    path.write_bytes(original)
    try:
        change(path, record, edit(append=text))
    except ConfigError:
        assert path.read_bytes() == original
        return
    restore(path, record)
    assert path.read_bytes() == original
