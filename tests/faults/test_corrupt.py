"""Damaged data, read by others than the module; what the component repaired is never overwritten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node

MEMBERS = {"members": ["m1", "m2", "m3"], "member": "m1"}
FOLDER = "/srv/data/member"
# Folders have no times here: one in which a file is made is changed by that.
LISTED = (
    f"cd {FOLDER} && find . -type f -exec stat -c '%n %A %U %s %Y' {{}} + | sort && "
    "find . -type d -exec stat -c '%n %A %U' {} + | sort && find . -type f -exec md5sum {} + | sort"
)


@pytest.fixture
def member(node: Node) -> Iterator[Node]:
    """A machine with data of some member, old enough that any change of times shows."""
    node.run(
        f"mkdir -p {FOLDER}/wal && for n in 1 2 3; do head -c 50000 /dev/urandom > {FOLDER}/wal/$n.wal; done && "
        f"chown -R nobody {FOLDER} && chmod 0700 {FOLDER} && touch -d 2020-01-01 {FOLDER}/wal/* {FOLDER}/wal {FOLDER}"
    )
    yield node
    node.run(f"rm -rf {FOLDER}")


@pytest.mark.parametrize(
    "parameters",
    [
        {"kind": "flip", "pattern": "wal/*.wal", "path": FOLDER, "count": 9},
        {"kind": "zero", "path": f"{FOLDER}/wal/2.wal", "offset": 100, "length": 9000},
        {"kind": "truncate", "path": f"{FOLDER}/wal/2.wal", "offset": -777},
        {"kind": "remove", "path": f"{FOLDER}/wal/2.wal"},
        {"kind": "remove", "path": FOLDER},
    ],
    ids=["flip", "zero", "truncate", "remove-file", "remove-folder"],
)
def test_damaged_and_put_back(member: Node, parameters: dict[str, object]) -> None:
    before = member.run(LISTED)
    with member.fault("corrupt", **parameters, **MEMBERS):
        assert member.run(LISTED, check=False) != before
    assert member.run(LISTED) == before


def test_silent(member: Node) -> None:
    """Size and times do not tell that bits were flipped."""
    seen = f"stat -c '%n %s %Y' {FOLDER}/wal/*"
    before = member.run(seen)
    with member.fault("corrupt", kind="flip", path=f"{FOLDER}/wal/1.wal", **MEMBERS):
        assert member.run(seen) == before


def test_what_was_rewritten_stays(member: Node) -> None:
    file = f"{FOLDER}/wal/1.wal"
    with member.fault("corrupt", kind="zero", path=file, offset=0, length=8192, **MEMBERS):
        member.run(f"printf repaired | dd of={file} conv=notrunc status=none")
    assert member.run(f"head -c 8 {file}") == "repaired"
    assert member.run(f"tail -c +4097 {file} | head -c 4096 | tr -d '\\0' | wc -c") != "0", "the other block came back"


def test_a_new_data_directory_stays(member: Node) -> None:
    with member.fault("corrupt", kind="remove", path=FOLDER, **MEMBERS):
        member.run(f"mkdir {FOLDER} && echo cloned > {FOLDER}/version")
    assert member.run(f"ls {FOLDER}; cat {FOLDER}/version") == "version\ncloned"


def test_a_running_process_loses_its_folder(member: Node) -> None:
    """As after rm: what works in the folder finds nothing there, though it moved."""
    member.run(f"systemd-run --quiet --collect --unit=user --working-directory={FOLDER} sleep 300")
    try:
        with member.fault("corrupt", kind="remove", path=FOLDER, **MEMBERS) as result:
            assert "sleep 300" in result["achieved"]["used_by"][0]
            assert not member.holds("ls /proc/$(systemctl show -P MainPID user.service)/cwd/wal")
    finally:
        member.run("systemctl stop user.service")


def test_without_restore_the_repair_is_awaited(member: Node) -> None:
    asked = {"id": "lost", "ttl": 90, "kind": "remove", "path": FOLDER, "restore": False, "repaired_within": 2}
    member.module("corrupt", {**asked, **MEMBERS})
    with pytest.raises(ModuleFailed, match=r"not repaired within 2 s: .* is missing\. The original is in"):
        member.module("corrupt", id="lost", state="healed")
    member.run(f"mkdir {FOLDER} && echo cloned > {FOLDER}/version")
    assert member.module("corrupt", id="lost", state="healed")["changed"]
    assert member.run(f"cat {FOLDER}/version") == "cloned"


def test_a_majority_stays_untouched(member: Node) -> None:
    asked = {"id": "second", "ttl": 20, "kind": "flip", "path": f"{FOLDER}/wal/1.wal"}
    with pytest.raises(ModuleFailed, match=r"leaves 1 of 3 members untouched, m2 being damaged already"):
        member.module("corrupt", {**asked, **MEMBERS}, touched=["m2"])
    assert member.entries() == []
