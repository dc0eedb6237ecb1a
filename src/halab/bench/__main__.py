"""`python -m halab.bench`: measure and write docs/benchmarks.md. Takes from minutes (steps) to an hour (failovers)."""

from __future__ import annotations

from pathlib import Path

import click

from halab.bench.failover import Result, measure
from halab.bench.nodes import NodeCost, idle_costs
from halab.bench.plays import play
from halab.bench.stages import Stage, drill, provisioning
from halab.bench.table import document
from halab.errors import HalabError

ROOT = Path(__file__).resolve().parents[3]


@click.command()
@click.option("-i", "--inventory", "inventories", multiple=True, default=("inventories/minimal", "inventories/lab"))
@click.option("--cold/--cached", default=True, help="Build the image anew first.")
@click.option("--profile", "profiles", multiple=True, default=("fast", "default", "upstream"))
@click.option("--failovers", default=5, help="Runs of each failover case; 0 leaves them out.")
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks.md")
def main(inventories: tuple[str, ...], cold: bool, profiles: tuple[str, ...], failovers: int, output: Path) -> None:  # noqa: FBT001
    """Measure image, machines, provisioning, drill, idle cost and failover times, and write the table."""
    stages: list[Stage] = []
    costs: dict[str, list[NodeCost]] = {}
    results: list[Result] = []
    try:
        for number, name in enumerate(inventories):
            inventory = ROOT / name
            for stage in provisioning(ROOT, inventory, cold=cold and number == 0):
                stages.append(stage)
                click.echo(f"{stage.inventory}: {stage.name}: {stage.play.timing.wall:.1f} s")
            costs[inventory.name] = idle_costs(ROOT, inventory)
            stages.append(drill(ROOT, inventory))
            click.echo(f"{inventory.name}: drill: {stages[-1].play.timing.wall:.1f} s")
            output.write_text(document(stages, costs, results), encoding="utf-8")
            if number:  # idle machines would cost processor time during the failovers
                play(ROOT, inventory, "destroy")
        if failovers:
            for result in measure(ROOT, ROOT / inventories[0], profiles=list(profiles), runs=failovers):
                results.append(result)
                click.echo(f"{result.case}: median {result.median_s:.1f} s, worst {result.worst_s:.1f} s")
                output.write_text(document(stages, costs, results), encoding="utf-8")
    except HalabError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"written: {output}")


if __name__ == "__main__":
    main()
