# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failover timing: one table of profiles, and the rules every profile must obey.

A hard kill of the leader's host is noticed when its lease in etcd expires. The lease was renewed
between 0 and ``loop_wait`` seconds ago, so the first acknowledged write comes after about
``ttl - loop_wait / 2`` seconds (median) plus the race, the promotion and the router. If the etcd
leader dies with the host, its successor restarts every lease, lengthened by one election timeout.

``ttl`` has a floor of 20 s in Patroni, hence the shape of the table:

* a long ``loop_wait`` makes a host kill slightly faster (the lease is older when the host dies) and
  soft faults (crashed postmaster, stopped agent) slower, because they are seen once per loop;
* ``retry_timeout`` gets what ``loop_wait + 2 * retry_timeout <= ttl`` leaves, since it is how long
  etcd may be silent before a healthy leader gives up.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing as t


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the key to change, its value now, and what to do about it."""

    key: str
    value: str
    fix: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}: {self.fix}"


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Every timer of the stack. Names without a unit are seconds, ``_ms`` are milliseconds."""

    ttl: int
    loop_wait: int
    retry_timeout: int
    primary_start_timeout: int
    primary_stop_timeout: int
    etcd_heartbeat_ms: int
    etcd_election_ms: int
    haproxy_inter_ms: int
    haproxy_fastinter_ms: int
    haproxy_downinter_ms: int
    haproxy_fall: int
    haproxy_rise: int
    haproxy_check_timeout_ms: int
    haproxy_connect_timeout_ms: int
    sentinel_down_after_ms: int
    sentinel_failover_timeout_ms: int
    vrrp_advert_ms: int

    def as_dict(self) -> dict[str, int]:
        """Return the timers as plain data, as roles take them."""
        return dataclasses.asdict(self)

    @property
    def router_down_ms(self) -> int:
        """Longest time until HAProxy drops a frozen member: it accepts the probe and never answers."""
        return (
            self.haproxy_inter_ms
            + self.haproxy_fall * self.haproxy_check_timeout_ms
            + (self.haproxy_fall - 1) * self.haproxy_fastinter_ms
        )


KEYS: t.Final = tuple(field.name for field in dataclasses.fields(Timing))

PROFILES: t.Final[t.Mapping[str, Timing]] = {
    # Shortest outage for a host kill: the oldest lease that still sees a soft fault within 8 s.
    # primary_start_timeout 4: a crash in place costs at most 8 + 4 + 8 = 20 s before another takes over.
    "fast": Timing(
        ttl=20,
        loop_wait=8,
        retry_timeout=6,
        primary_start_timeout=4,
        primary_stop_timeout=5,
        etcd_heartbeat_ms=100,
        etcd_election_ms=500,
        haproxy_inter_ms=1000,
        haproxy_fastinter_ms=500,
        haproxy_downinter_ms=500,
        haproxy_fall=2,
        haproxy_rise=1,
        haproxy_check_timeout_ms=2000,
        haproxy_connect_timeout_ms=1000,
        sentinel_down_after_ms=2000,
        sentinel_failover_timeout_ms=10000,
        vrrp_advert_ms=500,
    ),
    # Below 30 s wherever the etcd leader is, with the most patience towards etcd that a 20 s lease
    # allows. Crash in place: 6 + 15 + 6 = 27 s at most. etcd keeps its own LAN timers.
    "default": Timing(
        ttl=20,
        loop_wait=6,
        retry_timeout=7,
        primary_start_timeout=15,
        primary_stop_timeout=6,
        etcd_heartbeat_ms=100,
        etcd_election_ms=1000,
        haproxy_inter_ms=1000,
        haproxy_fastinter_ms=500,
        haproxy_downinter_ms=500,
        haproxy_fall=3,
        haproxy_rise=1,
        haproxy_check_timeout_ms=2000,
        haproxy_connect_timeout_ms=1000,
        sentinel_down_after_ms=5000,
        sentinel_failover_timeout_ms=30000,
        vrrp_advert_ms=1000,
    ),
    # Patroni's, Sentinel's and VRRP's own defaults, to compare with. Not etcd's: an etcd failover lengthens a lease by
    # about 2.3 election timeouts, and the 1000 ms of etcd's default would push the outage past 34 s (measured with
    # 700 ms: 33.0 s from kill to promotion, 1 s of it spent on asking the dead member for its position).
    "upstream": Timing(
        ttl=30,
        loop_wait=10,
        retry_timeout=10,
        primary_start_timeout=300,
        primary_stop_timeout=0,
        etcd_heartbeat_ms=100,
        etcd_election_ms=500,
        haproxy_inter_ms=2000,
        haproxy_fastinter_ms=1000,
        haproxy_downinter_ms=500,
        haproxy_fall=3,
        haproxy_rise=1,
        haproxy_check_timeout_ms=2000,
        haproxy_connect_timeout_ms=2000,
        sentinel_down_after_ms=30000,
        sentinel_failover_timeout_ms=180000,
        vrrp_advert_ms=1000,
    ),
}

# Values below these are changed silently (Patroni), refused (etcd, HAProxy) or make a detector flap: Sentinel pings
# once a second, and with one second it takes the master that it has just connected to for dead, and fails over again.
# Zero means something for primary_start_timeout (fail over at once) and primary_stop_timeout (none).
_LEAST: t.Final[t.Mapping[str, int]] = {
    "ttl": 20,
    "retry_timeout": 3,
    "primary_start_timeout": 0,
    "primary_stop_timeout": 0,
    "etcd_heartbeat_ms": 10,
    "sentinel_down_after_ms": 2000,
    "vrrp_advert_ms": 10,
}

_PROMOTION_S: t.Final = 1.5
"""Race, promotion and standby re-attachment on a machine that is not starved of CPU, in seconds."""
_LEASE_TICK_S: t.Final = 0.5
"""How often etcd looks for expired leases (server/lease/lessor.go), in seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outage:
    """Seconds from the kill of the leader's host to the first acknowledged write through the router."""

    median: float
    worst: float
    median_with_etcd_leader: float
    worst_with_etcd_leader: float


def profile(name: object) -> Timing:
    """Return a profile of the table.

    :raises ValueError: no such profile; the message names those that exist.
    """
    timing = PROFILES.get(name) if isinstance(name, str) else None
    if timing is None:
        raise ValueError(str(Problem("ha_profile", repr(name), f"choose one of {', '.join(PROFILES)}")))
    return timing


def resolve(name: object, overrides: t.Mapping[str, object] | None = None) -> tuple[Timing | None, list[Problem]]:
    """Return the timers of a profile with single values replaced, and every rule the result breaks.

    The timers are None when they cannot even be formed (unknown profile, key or type).
    """
    problems: list[Problem] = []
    base = PROFILES.get(name) if isinstance(name, str) else None
    if base is None:
        problems.append(Problem("ha_profile", repr(name), f"choose one of {', '.join(PROFILES)}"))
    changes: dict[str, int] = {}
    for key, value in (overrides or {}).items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
            problems.append(Problem(f"ha_timing_overrides.{key}", repr(value), f"no such timer; {hint}"))
        elif isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).strip().isdigit():
            unit = "milliseconds" if key.endswith("_ms") else "seconds or a count"
            problems.append(Problem(f"ha_timing_overrides.{key}", repr(value), f"give a whole number ({unit})"))
        else:
            changes[key] = int(value)
    if base is None or problems:
        return None, problems
    timing = dataclasses.replace(base, **changes)
    return timing, violations(timing)


def violations(timing: Timing) -> list[Problem]:
    """Return every rule that the timers break; an empty list proves them sound.

    Sources: Patroni's dynamic configuration reference (floors; ``loop_wait + 2 * retry_timeout <= ttl``), etcd's
    tuning guide (election at least 5 heartbeats, at most 50 s), RFC 5798 (VRRP counts centiseconds). The rest
    follows from how the parts wait for each other, and each message says so.
    """
    floors = [
        Problem(key, str(value), f"must be at least {least}")
        for key, value in timing.as_dict().items()
        if value < (least := _LEAST.get(key, 1))
    ]
    return floors or [*_patroni_rules(timing), *_etcd_rules(timing), *_router_rules(timing), *_sentinel_rules(timing)]


def _patroni_rules(timing: Timing) -> t.Iterator[Problem]:
    needed = timing.loop_wait + 2 * timing.retry_timeout
    if needed > timing.ttl:
        yield Problem(
            "ttl",
            str(timing.ttl),
            f"must be at least loop_wait + 2 * retry_timeout = {needed}: a leader retries once and must still "
            "hold its lease; raise ttl or lower loop_wait or retry_timeout",
        )
    left = timing.ttl - timing.loop_wait - timing.retry_timeout
    if timing.primary_stop_timeout >= left > 0:
        yield Problem(
            "primary_stop_timeout",
            str(timing.primary_stop_timeout),
            f"must be below ttl - loop_wait - retry_timeout = {left} (or 0, no limit): a leader that lost etcd must be "
            "down before its lease can be taken",
        )


def _etcd_rules(timing: Timing) -> t.Iterator[Problem]:
    if timing.etcd_election_ms < 5 * timing.etcd_heartbeat_ms:
        yield Problem(
            "etcd_election_ms",
            str(timing.etcd_election_ms),
            f"must be at least 5 * etcd_heartbeat_ms = {5 * timing.etcd_heartbeat_ms}: etcd refuses less",
        )
    if timing.etcd_election_ms > 50_000:
        yield Problem("etcd_election_ms", str(timing.etcd_election_ms), "must be at most 50000: etcd refuses more")
    if 2 * timing.etcd_election_ms >= 1000 * timing.retry_timeout:
        yield Problem(
            "etcd_election_ms",
            str(timing.etcd_election_ms),
            f"must be below retry_timeout / 2 = {500 * timing.retry_timeout}: an etcd election takes up to two "
            "timeouts, and a healthy leader must outlast it",
        )


def _router_rules(timing: Timing) -> t.Iterator[Problem]:
    lease_ms = 1000 * (timing.ttl - timing.loop_wait)
    if timing.router_down_ms >= lease_ms:
        yield Problem(
            "haproxy_check_timeout_ms",
            str(timing.haproxy_check_timeout_ms),
            "haproxy_inter_ms + haproxy_fall * haproxy_check_timeout_ms + (haproxy_fall - 1) * haproxy_fastinter_ms = "
            f"{timing.router_down_ms} must be below ttl - loop_wait = {lease_ms} ms: a router must drop a "
            "frozen leader before another can take its lease; lower the check timeout, the intervals or fall",
        )
    if timing.vrrp_advert_ms % 10:
        fix = "must be a multiple of 10: VRRP counts centiseconds"
        yield Problem("vrrp_advert_ms", str(timing.vrrp_advert_ms), fix)
    if 4 * timing.vrrp_advert_ms >= lease_ms:
        yield Problem(
            "vrrp_advert_ms",
            str(timing.vrrp_advert_ms),
            f"must be below (ttl - loop_wait) / 4 = {lease_ms / 4:g}: the address of a dead host moves after four "
            "adverts, and must be back before there is a new leader",
        )


def _sentinel_rules(timing: Timing) -> t.Iterator[Problem]:
    least = 2 * timing.sentinel_down_after_ms
    if timing.sentinel_failover_timeout_ms < least:
        yield Problem(
            "sentinel_failover_timeout_ms",
            str(timing.sentinel_failover_timeout_ms),
            f"must be at least 2 * sentinel_down_after_ms = {least}: a failover must outlast the detection of a second "
            "dead node",
        )


def outage(timing: Timing) -> Outage:
    """Estimate the outage that a killed host causes; the goals of the profiles are tested against it.

    A follower starts an election after one to two election timeouts, 4/3 on average for the faster of two.
    """
    router = (timing.haproxy_rise - 1) * timing.haproxy_fastinter_ms / 1000
    down = timing.haproxy_downinter_ms / 1000
    election = timing.etcd_election_ms / 1000
    typical = _LEASE_TICK_S / 2 + _PROMOTION_S + router + down / 2
    longest = _LEASE_TICK_S + 2 * _PROMOTION_S + router + down
    return Outage(
        median=timing.ttl - timing.loop_wait / 2 + typical,
        worst=timing.ttl + longest,
        median_with_etcd_leader=timing.ttl + election * (4 / 3 + 1) + typical,
        worst_with_etcd_leader=timing.ttl + election * 3 + longest,
    )
