"""How an empty etcd member comes into a cluster, and who has to go, decided from what the cluster says."""

from __future__ import annotations

from ansible_collections.halab.stack.plugins.module_utils.etcd_membership import (
    Peer,
    initial_cluster,
    plan,
    undeclared,
)

DECLARED = {f"https://10.0.0.{number}:2380": f"etcd{number}" for number in (1, 2, 3)}


def peer(number: int, *, began: bool = True) -> Peer:
    """Member number `number` as a cluster tells of it."""
    client = (f"https://10.0.0.{number}:2379",) if began else ()
    return Peer(str(number), f"etcd{number}" if began else "", (f"https://10.0.0.{number}:2380",), client)


def planned(known: list[Peer], *, dead: tuple[Peer, ...] = ()) -> tuple[list[str], bool]:
    """Who goes before etcd3 comes in, and whether it must be added."""
    found = plan(known, name="etcd3", url="https://10.0.0.3:2380", declared=DECLARED, dead=dead)
    return [one.name for one in found.removed], found.added


def test_a_member_that_lost_its_data_does_not_come_back_under_its_old_id() -> None:
    assert planned([peer(1), peer(2), peer(3)]) == (["etcd3"], True)


def test_a_member_that_the_cluster_never_had_is_added() -> None:
    assert planned([peer(1), peer(2)]) == ([], True)


def test_a_member_that_a_killed_run_had_added_is_not_added_twice() -> None:
    assert planned([peer(1), peer(2), peer(3, began=False)]) == ([], False)


def test_a_member_of_the_same_name_at_another_address_is_replaced() -> None:
    moved = Peer("9", "etcd3", ("https://10.0.0.9:2380",), ("https://10.0.0.9:2379",))
    assert planned([peer(1), peer(2), moved]) == (["etcd3"], True)


def test_the_dead_go_first_only_when_nobody_declared_them() -> None:
    assert planned([peer(1), peer(2), peer(7)], dead=(peer(7), peer(2))) == (["etcd7"], True)


def test_those_who_live_stay_until_all_that_is_declared_is_there() -> None:
    assert planned([peer(1), peer(2), peer(7)]) == ([], True)
    assert undeclared([peer(1), peer(2), peer(7)], DECLARED) == []
    assert undeclared([peer(1), peer(2), peer(3, began=False), peer(7)], DECLARED) == []
    assert undeclared([peer(1), peer(2), peer(3), peer(7)], DECLARED) == [peer(7)]


def test_a_new_member_begins_with_the_cluster_as_it_is_not_as_it_shall_be() -> None:
    text = initial_cluster([peer(1), peer(7), peer(3, began=False)], DECLARED)
    assert text == "etcd1=https://10.0.0.1:2380,etcd7=https://10.0.0.7:2380,etcd3=https://10.0.0.3:2380"
