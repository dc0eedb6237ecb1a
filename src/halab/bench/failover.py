"""Client-side failover times by profile, event and place of the etcd leader."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from halab.bench.plays import BenchError, play
from halab.bench.stopwatch import stopwatch
from halab.bench.writers import lost, writing
from halab.clients.etcd import EtcdEndpoint, KeyValue
from halab.clients.http import client_context
from halab.clients.patroni import PatroniEndpoint
from halab.errors import HalabError
from halab.inventory import Cluster, load
from halab.waiting import eventually
from halab.workloads import suite

LOOK_WITHIN_S = 2.0
PLACED_WITHIN_S = 30.0
OUTAGE_WITHIN_S = 90.0
WHOLE_WITHIN_S = 180.0
WARM_UP_S = 3.0
LEAST_OUTAGE_S = 0.3  # shorter gaps are the writers' own pauses
RENEWED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table. `etcd_leader_dies` is None where no machine dies."""

    event: str
    profile: str
    etcd_leader_dies: bool | None


@dataclass(frozen=True, slots=True)
class Result:
    """Outages in seconds, lost acknowledged writes, and stolen processor seconds of all runs of a case."""

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


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to the cluster, ready to happen at once, and how it is made good afterwards."""

    strike: Callable[[], None]
    mend: Callable[[], None] = lambda: None


# Name of the primary and how far the leader's loop shall be (0 to 1) when it is struck.
Event = Callable[["Bed", str, float], Blow]


@dataclass(frozen=True, slots=True)
class Bed:
    """The cluster under test and what breaks and looks at it."""

    root: Path
    cluster: Cluster
    context: ssl.SSLContext

    def primary(self) -> str:
        """Name of the member that says it is primary. Raises BenchError when none does."""
        for member in self.cluster.patroni.members:
            try:
                if PatroniEndpoint(member, self.context).status(within_s=LOOK_WITHIN_S).role == "primary":
                    return member.name
            except HalabError:
                continue
        raise BenchError("no member says that it is primary")

    def state(self, name: str) -> KeyValue:
        """What Patroni keeps in etcd under a name such as config or status. Raises BenchError, HttpError."""
        patroni = self.cluster.patroni
        key = f"{patroni.prefix}{name}"
        endpoint = EtcdEndpoint(self.cluster.etcd, self.cluster.etcd.members[0], self.context)
        try:
            found = endpoint.get(key, serializable=True, within_s=LOOK_WITHIN_S)
        finally:
            endpoint.close()
        if found is None:
            raise BenchError(f"etcd has no key {key}, so the leader's loop cannot be followed")
        return found

    def whole(self) -> bool:
        """Does playbooks/verify.yml find nothing wrong?"""
        return self.ansible("ansible-playbook", "playbooks/verify.yml").returncode == 0

    def ansible(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of Ansible's commands on the inventory."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }
        return subprocess.run(
            [*command, "-i", str(self.cluster.inventory)],
            cwd=self.root, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def switch(self, verb: str, host: str) -> Callable[[], None]:
        """A machine's power switch, as the inventory names it. Raises BenchError, also when it is turned."""
        answer = self.ansible("ansible-inventory", "--host", host)
        command = json.loads(answer.stdout).get("machine_power", {}).get(verb)
        if not command:
            raise BenchError(
                f"machine_power.{verb}: {host} has none, so its power cannot be cut. Use a lab's inventory."
            )

        def turn() -> None:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")

        return turn


def measure(root: Path, inventory: Path, *, profiles: list[str], runs: int) -> Iterator[Result]:
    """Measure every case `runs` times, on a cluster whose etcd members share the database's machines.

    Raises BenchError when a run cannot be carried out. The cluster ends with the profile of its inventory.
    """
    play(root, inventory, "create")
    try:
        for profile in profiles:
            play(root, inventory, "provision", "-e", f"ha_profile={profile}")
            cluster = load(inventory)
            bed = Bed(root, cluster, client_context(cluster.tls))
            for dies in (False, True):
                yield _case(bed, Case("machine loses power", profile, dies), runs, _power_loss)
            yield _case(bed, Case("postmaster killed", profile, None), runs, _postmaster_kill)
            yield _case(bed, Case("switchover", profile, None), runs, _switchover)
    finally:
        play(root, inventory, "provision")


def _case(bed: Bed, case: Case, runs: int, event: Event) -> Result:
    outages, missing = [], 0
    with stopwatch() as timing:
        for number in range(runs):
            eventually(bed.whole, within_s=WHOLE_WITHIN_S, what="the cluster to be whole", every_s=1)
            if case.etcd_leader_dies is not None:
                place_etcd_leader(bed, on_leader=case.etcd_leader_dies)
            outage, gone = _run(bed, event, (number + 0.5) / runs)
            outages.append(outage)
            missing += gone
    return Result(case, tuple(outages), missing, timing.steal)


def _run(bed: Bed, event: Event, phase: float) -> tuple[float, int]:
    """One outage in seconds and the acknowledged writes that were lost in it."""
    with writing(bed.cluster) as (writers, own):
        time.sleep(WARM_UP_S)  # the steady state that the outage is seen against
        blow = event(bed, bed.primary(), phase)
        since = time.monotonic()
        try:
            blow.strike()
            eventually(
                lambda: writers.resumed(since, after_gap_s=LEAST_OUTAGE_S) and time.monotonic() - since > WARM_UP_S,
                within_s=OUTAGE_WITHIN_S,
                what="acknowledged writes after the event",
            )
        finally:
            blow.mend()
        outage = writers.outage_s(since) or 0.0
    eventually(bed.whole, within_s=WHOLE_WITHIN_S, what="the cluster to be whole", every_s=1)
    missing = lost(bed.cluster, own, writers)
    suite.drop(bed.cluster, own, within_s=30)
    return outage, missing


def _power_loss(bed: Bed, primary: str, phase: float) -> Blow:
    """The age of the lease decides the outage, so runs are spread evenly over the leader's loop, not left to chance."""
    blow = Blow(bed.switch("off", primary), bed.switch("on", primary))
    loop_wait_s = float(json.loads(bed.state("config").value)["loop_wait"])
    # It then writes its position too, which the writers keep moving.
    before = bed.state("status").mod_revision
    eventually(
        lambda: bed.state("status").mod_revision != before,
        within_s=RENEWED_WITHIN_S,
        what="the leader to renew its lease",
    )
    time.sleep(phase * loop_wait_s)
    return blow


def _postmaster_kill(bed: Bed, primary: str, _phase: float) -> Blow:
    """SIGKILL to the postmaster, whose pid is the first line of its pid file (PostgreSQL manual, postmaster.pid)."""

    def strike() -> None:
        script = "kill -KILL $(head -n 1 /srv/data/postgresql/*/*/postmaster.pid)"
        done = bed.ansible("ansible", primary, "-b", "-m", "ansible.builtin.shell", "-a", script)
        if done.returncode != 0:
            raise BenchError(f"{primary}: the postmaster could not be killed: {done.stdout[-500:]}")

    return Blow(strike)


def _switchover(bed: Bed, primary: str, _phase: float) -> Blow:
    def strike() -> None:
        done = bed.ansible("ansible-playbook", "playbooks/faults/switchover.yml")
        if done.returncode != 0:
            raise BenchError(f"{primary}: no switchover: {done.stdout[-1500:]}")

    return Blow(strike)


def place_etcd_leader(bed: Bed, *, on_leader: bool) -> None:
    """Move etcd's leadership to the machine of the PostgreSQL leader, or away from it.

    Raises WaitExpired when it does not get there within 30 s.
    """
    endpoints = {
        member.name: EtcdEndpoint(bed.cluster.etcd, member, bed.context) for member in bed.cluster.etcd.members
    }

    def placed() -> bool:
        primary = bed.primary()
        statuses = {name: endpoint.status(within_s=LOOK_WITHIN_S) for name, endpoint in endpoints.items()}
        holder = next((name for name, status in statuses.items() if status.is_leader), None)
        if holder is None or (holder == primary) == on_leader:
            return holder is not None
        heir = primary if on_leader else next(name for name in endpoints if name != primary)
        endpoints[holder].move_leader(statuses[heir].member_id, within_s=LOOK_WITHIN_S)
        return False

    where = "with" if on_leader else "away from"
    eventually(placed, within_s=PLACED_WITHIN_S, what=f"the etcd leader to be {where} the PostgreSQL leader")
