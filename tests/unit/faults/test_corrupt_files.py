"""Damage and its repair on real files: byte for byte, and only where nobody else repaired it."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils import corrupt_files
from ansible_collections.halab.faults.plugins.module_utils.corrupt_bytes import Region, flips
from ansible_collections.halab.faults.plugins.module_utils.corrupt_files import Damage, Record

OLD_NS = 1_500_000_000_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.write_bytes(random.Random(1).randbytes(20_000))  # noqa: S311 (any bytes)
    os.utime(made, ns=(OLD_NS, OLD_NS))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".halab-fault-1"


def told(capsys: pytest.CaptureFixture[str], folder: Path, path: Path) -> str:
    assert corrupt_files.COMMANDS["corrupt-look"]([str(folder), str(path)]) == 0
    return capsys.readouterr().out.splitlines()[0]


def hurt(folder: Path, path: Path, **wanted: Any) -> None:
    damage = Damage(folder=str(folder), path=str(path), **wanted)
    assert corrupt_files.COMMANDS["corrupt-damage"]([damage.dump()]) == 0


def mend(folder: Path) -> None:
    assert corrupt_files.COMMANDS["corrupt-mend"]([str(folder)]) == 0
    assert not folder.exists()


@given(offset=st.integers(-30, 30), length=st.integers(0, 30), size=st.integers(0, 25))
def test_regions_lie_within(offset: int, length: int, size: int) -> None:
    try:
        region = Region.of(offset=offset, length=length, size=size)
    except ValueError:
        return
    assert 0 <= region.start < region.end <= size
    assert length in (0, region.end - region.start)


@given(length=st.integers(1, 40), seed=st.integers(), count=st.integers(1, 320))
def test_flips_are_so_many_bits_of_the_region(length: int, seed: int, count: int) -> None:
    region = Region(start=7, end=7 + length)
    if count > 8 * length:
        with pytest.raises(ValueError, match="more than"):
            flips(region, count=count, seed=seed)
        return
    masks = flips(region, count=count, seed=seed)
    assert sum(mask.bit_count() for mask in masks.values()) == count
    assert all(region.start <= offset < region.end for offset in masks)
    assert masks == flips(region, count=count, seed=seed)


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "flip", "count": 100, "seed": 3},
        {"kind": "flip", "offset": -1, "count": 8},
        {"kind": "zero", "offset": 5, "length": 9000},
        {"kind": "zero"},
        {"kind": "truncate", "offset": 4000},
        {"kind": "truncate"},
        {"kind": "remove"},
    ],
)
def test_there_and_back(
    file: Path, folder: Path, capsys: pytest.CaptureFixture[str], wanted: dict[str, object]
) -> None:
    before, mode = file.read_bytes(), file.stat().st_mode
    assert told(capsys, folder, file) == "intact"
    hurt(folder, file, **wanted)
    assert told(capsys, folder, file) == "damaged"
    if file.exists():
        assert file.read_bytes() != before
        assert file.stat().st_mtime_ns == OLD_NS
    mend(folder)
    assert told(capsys, folder, file) == "intact"
    assert (file.read_bytes(), file.stat().st_mode, file.stat().st_mtime_ns) == (before, mode, OLD_NS)
    mend(folder)


def test_only_what_is_still_damaged_is_put_back(file: Path, folder: Path) -> None:
    before = bytearray(file.read_bytes())
    hurt(folder, file, kind="flip", count=50, length=19_000)
    record = Record.read(folder)
    assert record is not None
    repaired, old, new = record.changes[3]
    with file.open("rb+") as handle:
        os.pwrite(handle.fileno(), bytes([old ^ new ^ 0x55]), repaired)
        os.pwrite(handle.fileno(), b"written since", 19_000)
    mend(folder)
    before[repaired] = old ^ new ^ 0x55
    before[19_000:19_013] = b"written since"
    assert file.read_bytes() == before


@pytest.mark.parametrize("kind", ["flip", "zero", "truncate"])
def test_another_file_in_its_place_stays(
    file: Path, folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    hurt(folder, file, kind=kind, offset=10)
    fresh = file.with_name("fresh")
    fresh.write_bytes(b"cloned")
    fresh.rename(file)
    assert told(capsys, folder, file) == "repaired"
    mend(folder)
    assert file.read_bytes() == b"cloned"


def test_a_file_that_grew_is_not_appended_to(file: Path, folder: Path) -> None:
    hurt(folder, file, kind="truncate", offset=100)
    with file.open("ab") as handle:
        handle.write(b"more")
    mend(folder)
    assert file.stat().st_size == 104


def test_a_file_removed_meanwhile_does_not_come_back(file: Path, folder: Path) -> None:
    hurt(folder, file, kind="flip")
    file.unlink()
    mend(folder)
    assert not file.exists()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "member"
    (made / "base/1").mkdir(parents=True)
    (made / "base/1/rows").write_text("rows")
    (made / "link").symlink_to("base")
    (made / "version").write_text("17")
    made.chmod(0o700)
    os.utime(made, ns=(OLD_NS, OLD_NS))
    return made


def test_a_folder_there_and_back(tree: Path, folder: Path) -> None:
    hurt(folder, tree, kind="remove")
    assert not tree.exists()
    mend(folder)
    assert (tree / "base/1/rows").read_text() == "rows"
    assert (tree / "link").is_symlink()
    assert tree.stat().st_mode & 0o777 == 0o700
    assert tree.stat().st_mtime_ns == OLD_NS


def test_an_empty_folder_is_no_repair(tree: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hurt(folder, tree, kind="remove")
    tree.mkdir()
    assert told(capsys, folder, tree) == "damaged"
    mend(folder)
    assert (tree / "version").read_text() == "17"


def test_new_data_stays(tree: Path, folder: Path) -> None:
    hurt(folder, tree, kind="remove")
    tree.mkdir()
    (tree / "version").write_text("18")
    mend(folder)
    assert sorted(path.name for path in tree.iterdir()) == ["version"]
    assert (tree / "version").read_text() == "18"


def test_interrupted_in_the_middle_of_the_removal(tree: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the data moved, the machine lost its power: all of it is put back."""
    moved = []

    def rename(path: Path, target: Path) -> Path:
        if moved:
            raise OSError(5, "the machine stops here")
        moved.append(path)
        return shutil.move(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    damage = Damage(folder=str(folder), path=str(tree), kind="remove")
    assert corrupt_files.COMMANDS["corrupt-damage"]([damage.dump()]) == 1
    monkeypatch.undo()
    assert len(list(tree.iterdir())) == 2
    mend(folder)
    assert sorted(path.name for path in tree.iterdir()) == ["base", "link", "version"]
    assert tree.stat().st_mtime_ns == OLD_NS


def test_interrupted_before_anything_was_damaged(file: Path, folder: Path) -> None:
    before = file.read_bytes()
    folder.mkdir()
    (folder / "kept").write_bytes(b"half a copy")
    mend(folder)
    assert file.read_bytes() == before


def test_a_repair_is_awaited(tree: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hurt(folder, tree, kind="remove")
    waiting = corrupt_files.COMMANDS["corrupt-await-repair"]
    assert waiting([str(folder), "0.1"]) == 1
    assert "not repaired within 0.1 s" in capsys.readouterr().err
    assert (folder / "kept/version").exists()
    tree.mkdir()
    (tree / "version").write_text("18")
    assert waiting([str(folder), "5"]) == 0
    assert not folder.exists()
    assert waiting([str(folder), "5"]) == 0
