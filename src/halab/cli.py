"""The command `halab`. What a command needs is imported when it runs, so that help and completion are quick."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from halab import __version__
from halab.command import Commands, at_work, errors_shown, progress_shown

if TYPE_CHECKING:
    from halab.driver.drawing import Wanted

SEARCH_WITHIN_S = 60.0
EXIT_CODES = """\b
Exit codes:
  0    done; of a drill or check: every promise was kept
  1    a promise was broken
  2    not proven, or the command failed half-way
  3    wrong usage, or refused before anything was changed
  130  interrupted; what was broken was healed first
"""


inventory_option = click.option(
    "-i", "--inventory", default="inventories/lab", show_default=True, metavar="INVENTORY",
    help="File or folder, or the name of a folder in inventories/.",
)  # fmt: skip


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="halab")
def main() -> None:
    """Stand up a highly available PostgreSQL stack, break it on purpose, and prove what it kept."""


@main.command()
@inventory_option
@errors_shown
def up(inventory: str) -> None:
    """Create the machines, where they are halab's, and provision the stack."""
    from halab.driver import mending, site

    with at_work(inventory, "up") as (where, progress):
        site.require_provision(where)
        mending.sweep(where, progress)
        site.up(where, progress)
        mending.require_healthy(where, progress)
    click.echo(f"cluster {where.cluster.name} is up and healthy")


@main.command()
@inventory_option
@errors_shown
def status(inventory: str) -> None:
    """Show who is what in the cluster, and what earlier commands left behind."""
    from halab.driver import site
    from halab.driver.events import TaskEvent

    where = site.open_site(inventory)
    for finding in site.findings(where):
        click.echo(f"found: {finding}")
    site.require_made(where)

    def show(event: TaskEvent) -> None:
        if event.kind == "ok" and event.action == "ansible.builtin.debug":
            said = event.result.get("msg", "")
            click.echo("\n".join(map(str, said)) if isinstance(said, list) else str(said))

    where.plays.log("status").unlink(missing_ok=True)
    where.plays.must("status", on_event=show)


@main.command()
@click.argument("scenario", metavar="NAME")
@inventory_option
@click.option("--check", is_flag=True, help="Show what would be done and touch nothing.")
@click.option("--seed", type=int, help="Decides what is drawn by chance, so that a run can be repeated.")
@click.option("--allow-destructive", default="", metavar="CLUSTER", help="Name the cluster that may be broken.")
@click.option("--duration", metavar="TIME", help="random: length of the schedule, such as 90s or 5m.  [default: 5m]")
@click.option("--faults", metavar="NAME,...", help="random: draw only from these faults.")
@click.option("--allow-quorum-loss", is_flag=True, help="random: components may lose their majority.")
@errors_shown
def chaos(
    scenario: str,
    inventory: str,
    check: bool,  # noqa: FBT001 (click's)
    seed: int | None,
    allow_destructive: str,
    duration: str | None,
    faults: str | None,
    allow_quorum_loss: bool,  # noqa: FBT001 (click's)
) -> int:
    """Run scenario NAME: record clients, carry out its faults, heal them, and judge what was kept.

    NAME is a scenario, the path of a file, or `random` for a schedule drawn by chance, which is kept in the run folder
    as scenario.yml and repeated by its path or its seed.
    """
    from halab.driver.prepare import Request, plan

    command = shlex.join(["halab", *sys.argv[1:]])
    wanted = _wanted(scenario, duration, faults, allow_quorum_loss=allow_quorum_loss)
    request = Request(inventory, scenario, command, allow_destructive=allow_destructive, seed=seed, random=wanted)
    if check:
        click.echo("\n".join(plan(request)))
        return 0
    from halab.driver.drill import drill
    from halab.report import terminal

    with progress_shown() as progress:
        outcome = drill(request, progress)
    terminal.summary(outcome.folder)
    if wanted is not None:
        click.echo(f"Schedule: {outcome.folder / 'scenario.yml'}")
    for problem in outcome.problems:
        click.echo(f"halab: {problem}", err=True)
    return outcome.exit_code


def _wanted(scenario: str, duration: str | None, faults: str | None, *, allow_quorum_loss: bool) -> Wanted | None:
    """What is to be drawn; None for a scenario that exists. Raises InputError or click.UsageError."""
    if scenario != "random":
        given = {"--duration": duration, "--faults": faults, "--allow-quorum-loss": allow_quorum_loss or None}
        for option, value in given.items():
            if value is not None:
                raise click.UsageError(f"{option} belongs to `halab chaos random`")
        return None
    from halab.driver import drawing

    names = tuple(name.strip() for name in (faults or "").split(",") if name.strip())
    if faults is not None and not names:
        raise click.UsageError(f"--faults {faults!r}: names no fault; leave it out to draw from all")
    return drawing.Wanted(drawing.duration(duration or "5m"), names, allow_quorum_loss)


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@inventory_option
@click.option("--seed", type=int, help="Decides what is drawn by chance, so that a run can be repeated.")
@click.option("--allow-destructive", default="", metavar="CLUSTER", help="Name the cluster that may be broken.")
@errors_shown
def drills(names: tuple[str, ...], inventory: str, seed: int | None, allow_destructive: str) -> int:
    """Run scenarios, all unless NAMEd, one after the other, and show what was kept in one table.

    What this host or inventory cannot do is refused with the reason and counted. The exit code is that of the worst.
    """
    from halab import scenario as scenarios
    from halab.driver import drills as series
    from halab.driver.prepare import Request
    from halab.report import drills as report

    for name in names:
        scenarios.load(name)
    request = Request(
        inventory, "", shlex.join(["halab", *sys.argv[1:]]), allow_destructive=allow_destructive, seed=seed
    )
    with progress_shown() as progress:
        rows, code = series.run_all(
            request, names or scenarios.names(), progress, told=lambda row: progress.note(report.tally([row]))
        )
    folder = series.keep(rows)
    click.echo(report.table(rows))
    click.echo(f"Kept in {folder}: summary.txt, junit.xml, drills.json")
    return code


@main.command()
@click.argument("workloads", nargs=-1, metavar="[WORKLOAD]...")
@inventory_option
@click.option("--concurrent-users", default=12, show_default=True, help="In all, shared out among the workloads.")
@click.option("--duration", default="30s", show_default=True, metavar="TIME", help="Such as 30s, 5m or 1h.")
@click.option("--rate", default=0.0, help="Operations a second of each user.  [default: as fast as answered]")
@click.option("--route", help="Of workloads on PostgreSQL: write, read, multi_host or direct.")
@click.option("--set", "settings", multiple=True, metavar="WORKLOAD.NAME=VALUE", help="A parameter of a workload.")
@click.option("--seed", type=int, help="Decides what is drawn by chance.")
@errors_shown
def load(
    workloads: tuple[str, ...],
    inventory: str,
    concurrent_users: int,
    duration: str,
    rate: float,
    route: str | None,
    settings: tuple[str, ...],
    seed: int | None,
) -> int:
    """Load the cluster and break nothing: rows unless WORKLOADs are named, all at once if there are several.

    What clients were told is judged as in a drill; then throughput and latencies of every kind of operation.
    """
    from halab.driver import loading
    from halab.driver.drill import drill
    from halab.driver.prepare import Request
    from halab.history import read_history
    from halab.report import terminal, throughput

    wanted = loading.Load(
        workloads=workloads or (loading.ROWS,),
        users=concurrent_users,
        duration=duration,
        rate=rate,
        route=route,
        settings=settings,
    )
    request = Request(
        inventory, "load", shlex.join(["halab", *sys.argv[1:]]), seed=seed, document=loading.document(wanted)
    )
    with progress_shown() as progress:
        outcome = drill(request, progress)
    terminal.summary(outcome.folder)
    click.echo(throughput.table(throughput.rows(read_history(outcome.folder / "history.jsonl"))))
    for problem in outcome.problems:
        click.echo(f"halab: {problem}", err=True)
    return outcome.exit_code


@main.command()
@click.argument("run", required=False)
@click.option("--import", "imported", metavar="FILE", help="Judge a history recorded by anything: JSON Lines or EDN.")
@click.option("--model", metavar="NAME", help="--import: what the history is of; `list` shows every model.")
@click.option("--isolation", metavar="LEVEL", help="--import: level of list-append.  [default: strict-serializable]")
@click.option("--time-limit", type=float, metavar="SECONDS", help="--import: of a search.  [default: 60]")
@click.option("--json", "as_json", is_flag=True, help="--import: write the finding for machines.")
@errors_shown
def check(
    run: str | None,
    imported: str | None,
    model: str | None,
    isolation: str | None,
    time_limit: float | None,
    as_json: bool,  # noqa: FBT001 (click's)
) -> int:
    """Judge RUN again from its folder alone. RUN is `latest`, SCENARIO, SCENARIO/TIME or a path.

    With --import, judge a history from elsewhere: docs/importing.md has the format.
    """
    if imported is not None or model is not None:
        from halab.imports.command import judge_file

        if run is not None:
            raise click.UsageError(f"RUN = {run!r}: is not judged with --import; give one of the two")
        limit_s = SEARCH_WITHIN_S if time_limit is None else time_limit
        return judge_file(imported, model, isolation=isolation, time_limit_s=limit_s, as_json=as_json)
    if isolation is not None or as_json or time_limit is not None:
        raise click.UsageError("--isolation, --time-limit and --json belong to --import")
    from halab.driver.drill import judge
    from halab.driver.runfolder import find
    from halab.report import terminal

    folder = find(run or "latest")
    _status, code = judge(folder)
    terminal.summary(folder)
    return code


@main.command()
@click.argument("run", default="latest")
@errors_shown
def report(run: str) -> None:
    """Write the report of RUN again from its folder alone, and say where it is."""
    from halab.driver.runfolder import find
    from halab.report import html, junit

    folder = find(run)
    junit.write(folder)
    click.echo(html.render(folder))


@main.command()
@inventory_option
@errors_shown
def heal(inventory: str) -> None:
    """Undo every fault that is still in force, whoever left it."""
    from halab.driver import mending, site

    with at_work(inventory, "heal") as (where, progress):
        if where.ownership.owned:  # each machine of others is asked, whatever is known of it
            site.require_made(where)
        healed = mending.heal(where.plays, where.cluster, progress)
    click.echo(f"{len(healed)} fault(s) healed; nothing is left in the ledger of cluster {where.cluster.name}")


@main.command()
@inventory_option
@errors_shown
def down(inventory: str) -> None:
    """Remove the machines that halab made, with their disks, keys and secrets."""
    from halab.driver import site

    with at_work(inventory, "down") as (where, progress):
        site.down(where, progress)
    where.lock_path.unlink(missing_ok=True)
    click.echo(f"cluster {where.cluster.name} is gone")


@main.command(name="list")
@errors_shown
def list_() -> None:
    """List the scenarios and the runs."""
    from halab.driver import overview

    click.echo("Scenarios")
    for name, description in overview.described():
        click.echo(f"  {name:<30} {description}")
    click.echo("Runs")
    for run in overview.runs():
        click.echo(f"  {run.name:<40} {run.cluster:<16} {run.state}")
