"""Everything before a run exists: a refusal here leaves the cluster as it was, healed and healthy apart."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from halab import scenario as scenarios
from halab.clients.cluster import require_access
from halab.driver import consent, site
from halab.driver.locks import Lock
from halab.driver.progress import Progress
from halab.driver.runner import PlayFailed
from halab.errors import HalabError
from halab.inventory import Cluster, load
from halab.scenario import Scenario

SEEDS = 2**32


class Refused(HalabError):  # noqa: N818 (what happened)
    """The drill did not begin; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for. `command` is how, for the record."""

    inventory: str
    scenario: str
    command: str
    allow_destructive: str = ""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A drill that may begin."""

    site: site.Site
    cluster: Cluster
    scenario: Scenario
    seed: int
    command: str
    lock: Lock


def plan(request: Request) -> list[str]:
    """What a drill would do, in words. Reads the inventory and the scenario, touches nothing. Raises InputError."""
    where, what = _agreed(request)
    lines = [f"scenario {what.name}: {what.description}", f"cluster {where.cluster.name} ({where.inventory})"]
    lines += [f"found: {finding}" for finding in site.findings(where)]
    if not where.made:
        lines.append("create the machines and provision the stack")
    lines.append("check that the cluster is healthy")
    if what.workload:
        load_words = "{0.writers} writers at {0.write_rate:g}/s, {0.readers} readers at {0.read_rate:g}/s"
        lines.append(f"start the load: {load_words.format(what.workload)}")
    lines.append(f"record for {what.before:g} s")
    for fault in what.faults:
        held = f" for {fault.duration:g} s" if fault.duration else ""
        lines.append(f"at {fault.at:g} s: fault {fault.fault} on {fault.target}{held}")
    if what.faults:
        lines.append("heal every fault and wait until the cluster is healthy")
    lines.append(f"record for {what.after:g} s, then compare the nodes row for row")
    lines += [f"judge: {_promise(promise)}" for promise in what.promises]
    return lines


@contextmanager
def prepared(request: Request, progress: Progress) -> Iterator[Prepared]:
    """Hold a healthy cluster for one drill.

    Raises InputError, Busy or Refused before anything was changed, HealFailed or PlayFailed when what had to come first
    failed.
    """
    where, what = _agreed(request)
    with site.locked(where, f"drill {what.name}", progress) as lock:
        site.sweep(where, progress)
        if not where.made:
            site.up(where, progress)
        cluster = load(where.inventory)
        try:
            site.require_healthy(where, progress)
        except PlayFailed as error:
            fix = "Mend it first: `halab status` shows it, `halab up` provisions it again."
            raise Refused(f"the cluster is not healthy, so a drill would prove nothing. {fix}\n{error}") from error
        require_access(cluster)
        # Seeds need to differ, not to be unpredictable.
        seed = random.randrange(SEEDS) if request.seed is None else request.seed  # noqa: S311
        yield Prepared(site=where, cluster=cluster, scenario=what, seed=seed, command=request.command, lock=lock)


def _agreed(request: Request) -> tuple[site.Site, Scenario]:
    """Inventory and scenario, both valid, together and allowed. Raises InputError."""
    scenarios.load(request.scenario)
    extra_vars = {consent.KEY: request.allow_destructive} if request.allow_destructive else {}
    where = site.open_site(request.inventory, extra_vars)
    what = scenarios.load(request.scenario, cluster=where.cluster)
    if what.destructive:
        consent.check(where.cluster, where.ownership, request.allow_destructive)
    return where, what


def _promise(promise: scenarios.Promise) -> str:
    return promise.name if promise.comparison is None else f"{promise.name} {promise.comparison} {promise.threshold:g}"
