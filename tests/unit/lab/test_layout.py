"""Where a lab is: ids, subnets and host numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.lab.plugins.module_utils import layout

NAMES = st.lists(st.text("abcdef123", min_size=1, max_size=6), unique=True, max_size=40)


def test_two_folders_are_two_labs(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    assert layout.lab_id("lab", str(first)) != layout.lab_id("lab", str(second))
    assert layout.lab_id("lab", str(first)) == layout.lab_id("lab", f"{first}/../one")


def test_every_subnet_of_the_pool_is_a_candidate_once() -> None:
    candidates = layout.candidate_subnets("lab-1", "10.212.0.0/16")
    assert len(candidates) == len(set(candidates)) == 256
    assert layout.preferred_subnet("lab-1", "10.212.0.0/16") == candidates[0]


def test_a_pool_that_is_too_small_is_refused_with_a_fix() -> None:
    with pytest.raises(layout.LayoutError, match=r"subnet_pool: '10\.0\.0\.0/30'.*Give one like"):
        layout.preferred_subnet("lab-1", "10.0.0.0/30")


@given(hosts=NAMES, more=NAMES)
def test_a_host_keeps_its_number_when_others_come_and_go(hosts: list[str], more: list[str]) -> None:
    first = layout.assign_numbers(hosts, {})
    second = layout.assign_numbers([*more, *hosts], first) if not set(more) & set(hosts) else first
    assert all(second[host] == first[host] for host in hosts)
    assert len(set(second.values())) == len(second)


def test_too_many_hosts_are_refused() -> None:
    with pytest.raises(layout.LayoutError, match="do not fit"):
        layout.assign_numbers([f"n{i}" for i in range(300)], {})


def test_an_address_outside_the_subnet_is_refused() -> None:
    assert layout.address("10.1.2.0/24", 11) == "10.1.2.11"
    with pytest.raises(layout.LayoutError, match="255"):
        layout.address("10.1.2.0/24", 255)


def test_a_torn_record_names_the_file_and_the_fix(tmp_path: Path) -> None:
    (tmp_path / "lab.json").write_text('{"subnet": ')
    with pytest.raises(layout.LayoutError, match=r"lab\.json: not JSON.*create\.yml"):
        layout.read_record(tmp_path)


def test_hardware_addresses_are_local_and_stable() -> None:
    mac = layout.mac_address("lab-1", "pg1")
    assert mac == layout.mac_address("lab-1", "pg1") != layout.mac_address("lab-2", "pg1")
    assert mac.startswith("02:")
    assert len(mac) == 17
