"""Selectors that need no living cluster, and what is said when there is none. The others are proven by tests/ha."""

from __future__ import annotations

from pathlib import Path

import pytest

from halab.bench.scratch import Server
from halab.driver import selectors
from halab.driver.selectors import NoTarget, Selectors
from halab.inventory import Cluster, load


@pytest.fixture
def cluster(postgres: Server, tmp_path: Path) -> Cluster:
    path = postgres.inventory(tmp_path)
    more = ", ".join(f"pg{n}: {{ansible_host: 127.0.0.{n}}}" for n in (1, 2, 3))
    path.write_text(path.read_text().replace("pg1: {ansible_host: 127.0.0.1}", more))
    return load(path)


def test_hosts_and_groups(cluster: Cluster) -> None:
    chosen = Selectors(cluster, seed=1)
    assert chosen.resolve("pg2") == ("pg2",)
    assert chosen.resolve("patroni") == ("pg1", "pg2", "pg3")
    with pytest.raises(NoTarget, match=r"target pg9: .* has no host or group of this name"):
        chosen.resolve("pg9")


def test_the_same_seed_draws_the_same_machines(cluster: Cluster) -> None:
    def drawn(seed: int) -> list[str]:
        chosen = Selectors(cluster, seed)
        return [chosen.resolve("random(patroni)")[0] for _ in range(12)]

    assert drawn(7) == drawn(7)
    assert set(drawn(7)) == {"pg1", "pg2", "pg3"}
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize(("target", "says"), [("leader", "https://127.0.0.1:1/cluster"), ("etcd_leader", "pg1: ")])
def test_a_silent_cluster_says_what_its_members_said(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, target: str, says: str
) -> None:
    monkeypatch.setattr(selectors, "FOUND_WITHIN_S", 0.1)
    with pytest.raises(NoTarget) as caught:
        Selectors(cluster, seed=1).resolve(target)
    assert str(caught.value).startswith(f"target {target}: ")
    assert says in str(caught.value)
    assert "refused" in str(caught.value)


def test_the_active_balancer_is_whose_address_answers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "FOUND_WITHIN_S", 0.1)
    monkeypatch.setattr(selectors, "node_at_address", lambda *_given, **_options: "127.0.0.1")
    assert Selectors(cluster, seed=1).resolve("haproxy_active") == ("pg1",)
    monkeypatch.setattr(selectors, "node_at_address", lambda *_given, **_options: "192.0.2.9")
    with pytest.raises(NoTarget, match=r"is answered by 192\.0\.2\.9, which is no balancer"):
        Selectors(cluster, seed=1).resolve("haproxy_active")


def test_several_machines_at_once(cluster: Cluster) -> None:
    chosen = Selectors(cluster, seed=1)
    assert len(set(chosen.resolve("majority(patroni)"))) == 2
    assert len(set(chosen.resolve("random(patroni, 3)"))) == 3
    assert chosen.resolve("all(patroni)") == ("pg1", "pg2", "pg3")
