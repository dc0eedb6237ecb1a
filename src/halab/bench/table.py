"""docs/benchmarks.md, written from what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from halab.bench.failover import Result
from halab.bench.injection import Accuracy, Injection
from halab.bench.nodes import NodeCost
from halab.bench.recording import Recorded
from halab.bench.stages import Stage
from halab.bench.stopwatch import machine_facts

HEAD = """# Benchmarks

Written by `make bench`; edit nothing here by hand. Seconds unless said otherwise. *busy* is the processor time of the
whole machine, the lab's machines included, *controller* the part of Ansible itself, *steal* what the hypervisor took
away meanwhile: a figure with more than 0.1 s of it measures the hypervisor as well, and is marked `~`.
"""


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


class Document:
    """The document, section by section: what was not measured this time stays as it was measured before."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stages(self, stages: Sequence[Stage]) -> None:
        """Replace the sections about steps and roles."""
        self._replace("Steps", _stages(stages))
        self._replace("Roles", _roles(stages))

    def failovers(self, results: Sequence[Result]) -> None:
        """Replace the sections about outages of the profiles that were measured."""
        for profile in dict.fromkeys(result.case.profile for result in results):
            mine = [result for result in results if result.case.profile == profile]
            self._replace(f"Write outage seen by clients, profile {profile}", _failovers(mine))

    def costs(self, inventory: str, nodes: Sequence[NodeCost]) -> None:
        """Replace the section about idle nodes of an inventory."""
        self._replace(f"An idle node of {inventory}", _costs(nodes))

    def injections(self, injected: Sequence[Injection]) -> None:
        """Replace the section about the speed of faults."""
        rows = [
            (one.name, one.runs, *(f"{value:.2f}" for value in (one.request_s, one.act_s, one.prove_s, one.gone_s)),
             f"{one.whole_s:.1f}")
            for one in injected
        ]  # fmt: skip
        header = ("fault", "runs", "request to effect", "commands", "proof", "heal to gone", "playbook in all")
        note = "Medians. A request is the start of the fault's playbook, so Ansible's own start is part of it."
        self._replace("Speed of faults", f"{table(header, rows)}\n{note}\n")

    def links(self, measured: Sequence[Accuracy]) -> None:
        """Replace the section about the accuracy of impaired links."""
        rows = [(one.asked, one.mechanism, one.measured) for one in measured]
        self._replace("Accuracy of links", table(("asked", "mechanism", "measured, one peer"), rows))

    def checkers(self, body: str) -> None:
        """Replace the section about the price of verdicts."""
        self._replace("Checkers", body)

    def recorded(self, recorded: Recorded) -> None:
        """Replace the section about the price of recording."""
        rows = [
            (
                name, recorded.clients, len(rates), f"{median(rate.per_second for rate in rates):.0f}",
                f"{min(rate.per_second for rate in rates):.0f} to {max(rate.per_second for rate in rates):.0f}",
                f"{median(rate.cost_us for rate in rates):.0f}",
            )
            for name, rates in (("recorded with provenance", recorded.ours), ("pgbench", recorded.pgbench))
        ]  # fmt: skip
        header = ("inserts", "clients", "runs", "a second, median", "from .. to", "µs of client processor each")
        note = (
            f"Recorded inserts are {100 * recorded.ratio:.0f} % of pgbench's (median of pairs): one "
            "row a commit, same statement with provenance, prepared, TLS, a server that syncs, all on this machine. "
            "What our clients cost includes the start of their processes."
        )
        self._replace("Recording", f"{table(header, rows)}\n{note}\n")

    def _replace(self, title: str, body: str) -> None:
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        parts = dict(section.split("\n", 1) for section in text.split("\n## ")[1:])
        facts = ", ".join(f"{name} {value}" for name, value in machine_facts().items())
        parts[title] = f"\nMeasured {datetime.now(UTC):%Y-%m-%d} on: {facts}.\n\n{body}"
        sections = [f"\n## {name}\n{content.rstrip()}\n" for name, content in parts.items()]
        self._path.write_text(HEAD + "".join(sections), encoding="utf-8")


def _stages(stages: Sequence[Stage]) -> str:
    rows = []
    for stage in stages:
        timing = stage.play.timing
        mark = "" if timing.clean else "~"
        tasks = max(stage.play.tasks.values(), default=0)
        rows.append(
            (
                stage.inventory, stage.name, f"{mark}{timing.wall:.1f}", f"{mark}{timing.busy:.1f}",
                f"{timing.controller:.1f}", f"{timing.steal:.1f}", tasks, sum(stage.play.tasks.values()),
                len(stage.play.changed),
            )
        )  # fmt: skip
    header = (
        "inventory", "step", "wall", "busy", "controller", "steal", "tasks on the first host", "tasks in all",
        "changed",
    )  # fmt: skip
    return table(header, rows)


def _roles(stages: Sequence[Stage]) -> str:
    rows = [
        (stage.inventory, stage.name, role, f"{seconds:.1f}")
        for stage in stages
        for role, seconds in stage.play.roles.items()
        if seconds >= 0.05
    ]
    return table(("inventory", "step", "role", "wall"), rows)


def _failovers(failovers: Sequence[Result]) -> str:
    placement = {True: "on the killed machine", False: "elsewhere", None: "-"}
    rows = [
        (
            result.case.profile, result.case.event, placement[result.case.etcd_leader_dies], len(result.outages_s),
            f"{result.median_s:.1f}", f"{result.worst_s:.1f}", result.lost, f"{result.steal_s:.1f}",
        )
        for result in failovers
    ]  # fmt: skip
    header = ("profile", "event", "etcd leader", "runs", "median", "worst", "acknowledged writes lost", "steal")
    note = "Machines are killed at instants spread evenly over the leader's loop, because the age of its lease decides."
    return f"{table(header, rows)}\n{note}\n"


def _costs(nodes: Sequence[NodeCost]) -> str:
    rows = [(node.host, f"{node.memory_mib:.0f}", f"{node.cpu_percent:.1f}", node.busiest) for node in nodes]
    return table(("node", "memory, MiB (PSS)", "processor, % of one core", "busiest process"), rows)
