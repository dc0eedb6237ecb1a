"""Everything before a run exists. A refusal here has changed nothing but what had to be healed or provisioned."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from halab import scenario as scenarios
from halab.clients.cluster import require_access
from halab.driver import consent, drawing, mending, rehearsal, site
from halab.driver.drawing import Wanted
from halab.driver.locks import Lock
from halab.driver.progress import Progress
from halab.driver.runner import PlayFailed
from halab.driver.selectors import Selectors
from halab.errors import HalabError
from halab.inventory import Cluster, load
from halab.scenario import Scenario
from halab.scenario.needs import lacking

SEEDS = 2**32


class Refused(HalabError):  # noqa: N818 (what happened)
    """The drill did not begin; the text says why and what to do."""


class Unsupported(Refused):
    """This host or inventory cannot do what the scenario asks for; `reasons` say what is missing."""

    def __init__(self, scenario: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"scenario {scenario} cannot be carried out here: {'; '.join(reasons)}. Nothing was changed.")


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for: a scenario by name or path, as a `document`, or one to be drawn.

    `command` is how, for the record.
    """

    inventory: str
    scenario: str
    command: str
    allow_destructive: str = ""
    seed: int | None = None
    random: Wanted | None = None
    document: Mapping[str, Any] | None = None


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
    seed = _seed(request)
    where, what = _agreed(request, seed)
    lines = [f"scenario {what.name}: {what.description}", f"cluster {where.cluster.name} ({where.inventory})"]
    lines += [f"found: {finding}" for finding in site.findings(where)]
    lines += [f"refuse: {reason}" for reason in lacking(what, where.cluster, where.variables)]
    if not where.made:
        lines.append("create the machines and provision the stack")
    lines.append("check that the cluster is healthy")
    if what.workload:
        load_words = "{0.writers} writers at {0.write_rate:g}/s, {0.readers} readers at {0.read_rate:g}/s"
        lines.append(f"start the load: {load_words.format(what.workload)}")
    for clients in what.workloads:
        rate = f"at {clients.rate:g}/s each" if clients.rate else "without a pause"
        lines.append(f"start workload {clients.name}: {clients.clients} clients {rate}, route {clients.route}")
    lines.append(f"record for {what.before:g} s")
    lines += [f"leave out workload {left}" for left in what.left_out]
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

    Raises InputError, Busy or Refused before any fault was carried out, HealFailed or PlayFailed when what had to come
    first failed.
    """
    seed = _seed(request)
    where, what = _agreed(request, seed)
    site.require_real(where)
    missing = lacking(what, where.cluster, where.variables)
    if missing:
        raise Unsupported(what.name, missing)
    with site.locked(where, f"drill {what.name}", progress) as lock:
        mending.sweep(where, progress)
        if not where.made:
            site.up(where, progress)
        cluster = load(where.inventory)
        try:
            mending.require_healthy(where, progress)
        except PlayFailed as error:
            again = ", `halab up` provisions it again" if cluster.provision else ""
            fix = f"Mend it first: `halab status` shows it{again}."
            raise Refused(f"the cluster is not healthy, so a drill would prove nothing. {fix}\n{error}") from error
        require_access(cluster)
        for left in what.left_out:
            progress.note(f"not tested: workload {left}")
        what = _rehearsed(request, what, where, Selectors(cluster, seed), progress)
        yield Prepared(site=where, cluster=cluster, scenario=what, seed=seed, command=request.command, lock=lock)


def _rehearsed(
    request: Request, what: Scenario, where: site.Site, selectors: Selectors, progress: Progress
) -> Scenario:
    """The scenario, when all its faults can be carried out here; else raises Unsupported.

    One that is drawn is drawn again without the faults that cannot.
    """
    progress.phase("rehearsing the faults in check mode")
    without: set[str] = set()
    while True:
        refused = rehearsal.refusals(what, where.plays, selectors)
        if not refused:
            return what
        reasons = [str(refusal) for refusal in refused]
        keys = {drawing.key_of(refusal.fault) for refusal in refused if refusal.fault is not None}
        if request.random is None or keys <= without:
            raise Unsupported(what.name, reasons)
        without |= keys
        for reason in reasons:
            progress.note(f"left out, because it cannot be carried out here: {reason}")
        what = drawing.drawn(request.random, where.cluster, selectors.seed, without=without)


def _agreed(request: Request, seed: int) -> tuple[site.Site, Scenario]:
    """Inventory and scenario, both valid, together and allowed. Raises InputError."""
    if request.document is not None:
        scenarios.parse(request.document, name=request.scenario, source="halab")
    elif request.random is None:
        scenarios.load(request.scenario)
    else:
        drawing.check(request.random)
    extra_vars = {consent.KEY: request.allow_destructive} if request.allow_destructive else {}
    where = site.open_site(request.inventory, extra_vars)
    if request.document is not None:
        what = scenarios.parse(request.document, name=request.scenario, source="halab", cluster=where.cluster)
    elif request.random is None:
        what = scenarios.load(request.scenario, cluster=where.cluster)
    else:
        what = drawing.drawn(request.random, where.cluster, seed)
    if what.destructive:
        consent.check(where.cluster, where.ownership, request.allow_destructive)
    return where, what


def _seed(request: Request) -> int:
    # Seeds need to differ, not to be unpredictable.
    return random.randrange(SEEDS) if request.seed is None else request.seed  # noqa: S311


def _promise(promise: scenarios.Promise) -> str:
    return promise.name if promise.comparison is None else f"{promise.name} {promise.comparison} {promise.threshold:g}"
