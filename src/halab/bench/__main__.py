"""`python -m halab.bench`: measure and write docs/benchmarks.md. Takes from minutes (steps) to an hour (failovers)."""

from __future__ import annotations

from pathlib import Path

import click

from halab.bench.checkers import section
from halab.bench.failover import Result, measure
from halab.bench.injection import Injection, accuracy, injections
from halab.bench.nodes import idle_costs
from halab.bench.plays import play
from halab.bench.recording import recording
from halab.bench.stages import Stage, drill, provisioning
from halab.bench.table import Document
from halab.errors import HalabError

ROOT = Path(__file__).resolve().parents[3]


@click.command()
@click.option("-i", "--inventory", "inventories", multiple=True, default=("inventories/minimal", "inventories/lab"))
@click.option("--steps/--no-steps", default=True, help="Measure image, machines, provisioning, drill and idle cost.")
@click.option("--cold/--cached", default=True, help="Build the image anew first.")
@click.option("--recording/--no-recording", "records", default=True, help="Measure clients against pgbench.")
@click.option("--checkers/--no-checkers", default=True, help="Measure checkers as histories grow.")
@click.option("--failovers", default=5, help="Runs of each failover case; 0 leaves them out.")
@click.option("--faults", default=3, help="Runs of each family of faults; 0 leaves them out.")
@click.option("--profile", "profiles", multiple=True, default=("fast", "default", "upstream"))
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks.md")
def main(
    inventories: tuple[str, ...],
    steps: bool,  # noqa: FBT001 (click passes options by name)
    cold: bool,  # noqa: FBT001
    records: bool,  # noqa: FBT001
    checkers: bool,  # noqa: FBT001
    failovers: int,
    faults: int,
    profiles: tuple[str, ...],
    output: Path,
) -> None:
    """Measure, and replace the sections of the document that were measured."""
    paper = Document(output)
    try:
        if steps:
            _steps(paper, [ROOT / name for name in inventories], cold=cold)
        if records:
            paper.recorded(recording())
        if checkers:
            paper.checkers(section())
        if faults:
            _faults(paper, ROOT / inventories[0], faults)
        if failovers:
            _failovers(paper, ROOT / inventories[0], list(profiles), failovers)
    except HalabError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"written: {output}")


def _steps(paper: Document, inventories: list[Path], *, cold: bool) -> None:
    stages: list[Stage] = []
    for number, inventory in enumerate(inventories):
        for stage in provisioning(ROOT, inventory, cold=cold and number == 0):
            stages.append(stage)
            click.echo(f"{stage.inventory}: {stage.name}: {stage.play.timing.wall:.1f} s")
        costs = idle_costs(ROOT, inventory)
        stages.append(drill(ROOT, inventory))
        click.echo(f"{inventory.name}: drill: {stages[-1].play.timing.wall:.1f} s")
        paper.stages(stages)
        paper.costs(inventory.name, costs)
        if number:  # idle machines would cost processor time during the failovers
            play(ROOT, inventory, "destroy")


def _faults(paper: Document, inventory: Path, runs: int) -> None:
    for step in ("create", "provision"):
        play(ROOT, inventory, step)
    injected: list[Injection] = []
    for injection in injections(ROOT, inventory, runs=runs):
        injected.append(injection)
        click.echo(f"{injection.name}: acts {injection.request_s:.1f} s after the request")
    paper.injections(injected)
    paper.links(list(accuracy(ROOT, inventory)))


def _failovers(paper: Document, inventory: Path, profiles: list[str], runs: int) -> None:
    results: list[Result] = []
    for result in measure(ROOT, inventory, profiles=profiles, runs=runs):
        results.append(result)
        click.echo(f"{result.case}: median {result.median_s:.1f} s, worst {result.worst_s:.1f} s")
        paper.failovers(results)


if __name__ == "__main__":
    main()
