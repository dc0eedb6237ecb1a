"""Client-side failover times by profile and by where the etcd leader is, from whole drills with whole verdicts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from halab.bench.plays import BenchError, play
from halab.bench.stopwatch import stopwatch
from halab.clients.etcd import EtcdEndpoint
from halab.clients.http import client_context
from halab.clients.patroni import PatroniEndpoint
from halab.inventory import Cluster, load
from halab.waiting import eventually

WITHIN_S = 2.0
PLACED_WITHIN_S = 30.0
RUN = re.compile(r"^Report: (?P<report>.+)$", re.MULTILINE)
# Shorter than the scenario of the same name, with the same fault and the same promises about data.
POWER = """\
description: The leader's machine loses power; as short as a failover allows.
destructive: true
workload: {writers: 8, write_rate: 10, readers: 0, read_rate: 10}
before: 5
after: 2
faults:
  - {fault: power, target: leader, at: 0, duration: 42}
promises:
  write_outage: {below: 60}
  lost_writes: {at_most: 0}
  single_primary: {}
  fault_acted: {}
  fault_gone: {}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: a profile and whether the etcd leader dies with the primary."""

    event: str
    profile: str
    etcd_leader_dies: bool | None


@dataclass(frozen=True, slots=True)
class Result:
    """Outages in seconds, lost acknowledged writes, and stolen processor seconds of each run of a case."""

    case: Case
    outages_s: tuple[float, ...]
    lost: int
    steal_s: float

    @property
    def median_s(self) -> float:
        """The middle one."""
        return median(self.outages_s)

    @property
    def worst_s(self) -> float:
        """The longest one."""
        return max(self.outages_s)


def measure(root: Path, inventory: Path, *, profiles: list[str], runs: int) -> Iterator[Result]:
    """Run every case `runs` times on a cluster whose etcd members are on the database's machines.

    Raises BenchError when a drill cannot be carried out; a broken promise is a result, not an error.
    """
    scenario = inventory.resolve().parent / f".bench-power-{os.getpid()}.yml"
    scenario.write_text(POWER, encoding="utf-8")
    try:
        for profile in profiles:
            options = ("-e", f"ha_profile={profile}")
            play(root, inventory, "provision", *options)
            cluster = load(inventory)
            for dies in (False, True):
                yield _case(root, cluster, Case("host loses power", profile, dies), str(scenario), runs)
            yield _case(root, cluster, Case("switchover", profile, None), "switchover", runs)
    finally:
        scenario.unlink()
        play(root, inventory, "provision")


def _case(root: Path, cluster: Cluster, case: Case, scenario: str, runs: int) -> Result:
    outages, lost = [], 0
    with stopwatch() as timing:
        for _ in range(runs):
            if case.etcd_leader_dies is not None:
                place_etcd_leader(cluster, on_leader=case.etcd_leader_dies)
            promises = _drill(root, cluster, scenario)
            outages.append(promises["write_outage"])
            lost += int(promises["lost_writes"])
    return Result(case, tuple(outages), lost, timing.steal)


def _drill(root: Path, cluster: Cluster, scenario: str) -> dict[str, float]:
    """What was measured for each promise of one drill."""
    command = [sys.executable, "-m", "halab", "chaos", scenario, "-i", str(cluster.inventory)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    found = RUN.search(done.stdout)
    if not found:
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    verdicts = json.loads((Path(found["report"]).parent / "verdicts.json").read_text(encoding="utf-8"))
    for item in verdicts["promises"]:
        if item["name"] in ("write_outage", "lost_writes") and item["measured"] is None:
            raise BenchError(f"{found['report']}: {item['name']} was not measured: {item['witness']}")
    return {item["name"]: float(item["measured"]) for item in verdicts["promises"] if item["measured"] is not None}


def place_etcd_leader(cluster: Cluster, *, on_leader: bool) -> None:
    """Move etcd's leadership to the machine of the PostgreSQL leader, or away from it.

    Raises WaitExpired when it does not get there within 30 s.
    """
    context = client_context(cluster.tls)
    endpoints = {member.name: EtcdEndpoint(cluster.etcd, member, context) for member in cluster.etcd.members}

    def placed() -> bool:
        primary = next(
            member.name
            for member in cluster.patroni.members
            if PatroniEndpoint(member, context).status(within_s=WITHIN_S).role == "primary"
        )
        statuses = {name: endpoint.status(within_s=WITHIN_S) for name, endpoint in endpoints.items()}
        holder = next((name for name, status in statuses.items() if status.is_leader), None)
        if holder is None or (holder == primary) == on_leader:
            return holder is not None
        heir = primary if on_leader else next(name for name in endpoints if name != primary)
        endpoints[holder].move_leader(statuses[heir].member_id, within_s=WITHIN_S)
        return False

    where = "with" if on_leader else "away from"
    eventually(placed, within_s=PLACED_WITHIN_S, what=f"the etcd leader to be {where} the PostgreSQL leader")
