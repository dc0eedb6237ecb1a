"""Wrong parameters of damaged data: refused by name, before anything changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils import corrupt
from ansible_collections.halab.faults.plugins.module_utils.corrupt import check_majority, plan_of
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.modules.corrupt import OPTIONS

Arguments = Callable[..., dict[str, Any]]
MEMBERS = ["pg1", "pg2", "pg3"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    (made / "wal").mkdir(parents=True)
    for name in ("1.wal", "2.wal"):
        (made / "wal" / name).write_bytes(bytes(range(256)) * 8)
    (made / "wal/empty.wal").touch()
    return made


@pytest.fixture
def asked(tmp_path: Path, data: Path) -> Arguments:
    """Parameters of the module as Ansible would pass them."""
    defaults = {name: option.get("default") for name, option in OPTIONS.items()}
    fixed = {"id": "drill-1", "ttl": 60, "ledger_dir": str(tmp_path / "ledger"), "cluster": "", "run": ""}
    where = {"path": str(data / "wal/1.wal"), "allowed_roots": [str(tmp_path)]}
    return lambda **changes: {
        **defaults, **fixed, **where, "kind": "flip", "members": MEMBERS, "member": "pg1", **changes
    }  # fmt: skip


def refused(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named) as told:
        plan_of(parameters)
    assert "Nothing was changed." in str(told.value)
    assert not Path(parameters["ledger_dir"]).exists()


@given(
    size=st.integers(1, 9),
    touched=st.sets(st.integers(0, 8)),
    member=st.integers(0, 8),
)
def test_a_majority_is_always_untouched(size: int, touched: set[int], member: int) -> None:
    members = [f"m{number}" for number in range(size)]
    hit = touched | {member}
    try:
        check_majority(f"m{member}", members, [f"m{number}" for number in touched])
    except FaultError:
        assert max(hit) >= size or 2 * (size - len(hit)) <= size
    else:
        assert 2 * (size - len(hit)) > size


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"members": []}, r"^member = 'pg1': is none of members = nobody"),
        ({"member": "pg9"}, r"^member = 'pg9': is none of members = pg1, pg2, pg3"),
        ({"touched": ["pg9"]}, r"^touched = 'pg9': is none of members"),
        ({"touched": ["pg2"]}, r"leaves 1 of 3 members untouched, pg2 being damaged already"),
        ({"members": ["pg1"]}, r"leaves 0 of 1 members untouched, which is no majority"),
        ({"members": ["pg1", "pg2"]}, r"leaves 1 of 2 members untouched"),
        ({"members": ["pg1", "pg1", "pg1"]}, r"leaves 0 of 1 members"),
    ],
)
def test_members(asked: Arguments, changes: dict[str, Any], named: str) -> None:
    refused(asked(**changes), named)


def test_damage_again_on_a_touched_member_costs_nothing_more(asked: Arguments) -> None:
    assert plan_of(asked(touched=["pg1"])).outlives_boot


@pytest.mark.parametrize("kind", ["flip", "truncate", "zero", "remove"])
@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("", r"^path = '': is not an absolute path"),
        ("data", r"^path = 'data': is not an absolute path"),
        ("/no/such", r"^path = '/no/such': does not exist"),
        ("/", r"^path = '/': / belongs to the system"),
        ("/etc/hostname", r"belongs to the system or the ledger \(/etc\)"),
        ("/usr", r"belongs to the system or the ledger \(/usr\)"),
        ("/var/lib", r"belongs to the system or the ledger \(/var/lib/"),
        ("/dev/null", r"belongs to the system or the ledger \(/dev\)"),
        ("/proc/version", r"belongs to the system or the ledger \(/proc\)"),
    ],
)
def test_paths(asked: Arguments, kind: str, path: str, named: str) -> None:
    refused(asked(kind=kind, path=path, allowed_roots=["/"]), named)


def test_paths_outside_and_links_out(asked: Arguments, tmp_path: Path, data: Path) -> None:
    refused(asked(allowed_roots=["/srv"]), r"is not below one of allowed_roots = /srv")
    refused(asked(path=str(data), kind="remove", allowed_roots=[str(data)]), r"is not below one of allowed_roots")
    (data / "link").symlink_to("/etc/hostname")
    refused(asked(path=str(data / "link")), r"link': /etc/hostname belongs to the system")
    outside = tmp_path / "outside"
    outside.touch()
    (data / "other").symlink_to(outside)
    refused(asked(path=str(data / "other"), allowed_roots=[str(data)]), r"outside is not below one of allowed_roots")


def test_the_ledger_is_spared(asked: Arguments, tmp_path: Path) -> None:
    with pytest.raises(FaultError, match=r"belongs to the system or the ledger"):
        plan_of(asked(kind="remove", path=str(tmp_path / "data"), ledger_dir=str(tmp_path / "data/ledger")))


def test_special_files(asked: Arguments, data: Path) -> None:
    os.mkfifo(data / "pipe")
    refused(asked(path=str(data / "pipe")), r"is neither a file nor a folder \(type 'p'\)")


def test_mount_points(asked: Arguments, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = corrupt.disk_mounts.mounted()
    text = f"9 1 8:1 / {data}/wal rw - ext4 /dev/sdb rw\n"
    inner = corrupt.disk_mounts.mounted(text)
    monkeypatch.setattr(corrupt.disk_mounts, "mounted", lambda: [*others, *inner])
    refused(asked(kind="remove", path=str(data)), r"/wal is a mount point, which cannot be moved away")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"offset": 2048}, r"^offset, length: .*1.wal: bytes 2048 to 2048 are not within its 2048"),
        ({"offset": -2049}, r"^offset, length: .* are not within its 2048"),
        ({"kind": "zero", "offset": 1, "length": 2048}, r"^offset, length: .* bytes 1 to 2049 are not within"),
        ({"kind": "truncate", "offset": 4096}, r"^offset, length: "),
        ({"length": -1}, r"^length = -1: is negative"),
        ({"count": 0}, r"^count = 0: is not a number of bits from 1 to 100000"),
        ({"count": 100001}, r"^count = 100001: is not a number of bits"),
        ({"length": 1, "count": 9}, r"^count = 9: 9 bits are more than the 8 of the region"),
        ({"repaired_within": 0}, r"^repaired_within = 0: is not a number of seconds"),
        ({"repaired_within": 101}, r"^repaired_within = 101: is not a number of seconds"),
        ({"pattern": "*"}, r"^pattern = '\*': is for a folder"),
    ],
)
def test_regions(asked: Arguments, changes: dict[str, Any], named: str) -> None:
    refused(asked(**changes), named)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("", r"is a folder, and kind flip damages a file. Give pattern"),
        ("../*", r"^pattern = '../\*': leads out of the folder"),
        ("/etc/*", r"^pattern = '/etc/\*': leads out of the folder"),
        ("wal/empty*", r"no file in .* that is not empty matches it"),
        ("none*", r"no file in .* matches it"),
    ],
)
def test_patterns(asked: Arguments, data: Path, pattern: str, named: str) -> None:
    refused(asked(path=str(data), pattern=pattern), named)


def test_a_seed_chooses_the_same_file(asked: Arguments, data: Path) -> None:
    chosen = [plan_of(asked(path=str(data), pattern="wal/*", seed=seed)).inject for seed in (1, 1, 2, 3, 4, 5)]
    assert chosen[0] == chosen[1]
    assert len({str(command) for command in chosen}) > 2


def test_no_space_for_the_original(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupt, "_SPACE_MARGIN", 1 << 60)
    refused(asked(kind="zero", length=10), r"^length = 10: 10 bytes must be kept on .* free\. Damage less")
