"""The command `halab`. What a command needs is imported when it runs, so that help and completion are quick."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from halab import __version__

if TYPE_CHECKING:
    from halab.driver.progress import Progress
    from halab.driver.site import Site

P = ParamSpec("P")
R = TypeVar("R")

FAILED = 2
REFUSED = 3
INTERRUPTED = 130
EXIT_CODES = """\b
Exit codes:
  0    done; of a drill or check: every promise was kept
  1    a promise was broken
  2    not proven, or the command failed half-way
  3    wrong usage, or refused before anything was changed
  130  interrupted; what was broken was healed first
"""


class Commands(click.Group):
    """Wrong usage has an exit code of its own: click's is taken by `not proven`."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            code = super().main(*args, **(extra | {"standalone_mode": False}))
        except click.exceptions.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(REFUSED)
        sys.exit(code if isinstance(code, int) else 0)


def errors_shown(command: Callable[P, R]) -> Callable[P, R]:
    """Show errors that a person can act on without a traceback, and end with the code that fits."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from halab.errors import HalabError, InputError

        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            click.echo("halab: interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None
        except HalabError as error:
            refused = isinstance(error, InputError) or type(error).__name__ in ("Busy", "Refused")
            text = str(error)
            click.echo(text if text.startswith("halab:") else f"halab: {text}", err=True)
            raise SystemExit(REFUSED if refused else FAILED) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            click.echo(f"halab: {error}", err=True)
            raise SystemExit(FAILED) from None

    return run


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
    from halab.driver import site

    with _at_work(inventory, "up") as (where, progress):
        site.sweep(where, progress)
        site.up(where, progress)
        site.require_healthy(where, progress)
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
@errors_shown
def chaos(scenario: str, inventory: str, check: bool, seed: int | None, allow_destructive: str) -> int:  # noqa: FBT001
    """Run scenario NAME: record clients, carry out its faults, heal them, and judge what was kept."""
    from halab.driver.prepare import Request, plan

    command = shlex.join(["halab", *sys.argv[1:]])
    request = Request(inventory, scenario, command, allow_destructive=allow_destructive, seed=seed)
    if check:
        click.echo("\n".join(plan(request)))
        return 0
    from halab.driver.drill import drill
    from halab.report import terminal

    with _progress() as progress:
        outcome = drill(request, progress)
    terminal.summary(outcome.folder)
    for problem in outcome.problems:
        click.echo(f"halab: {problem}", err=True)
    return outcome.exit_code


@main.command()
@click.argument("run", default="latest")
@errors_shown
def check(run: str) -> int:
    """Judge RUN again from its folder alone. RUN is `latest`, SCENARIO, SCENARIO/TIME or a path."""
    from halab.driver.drill import judge
    from halab.driver.runfolder import find
    from halab.report import terminal

    folder = find(run)
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
    from halab.driver import site

    with _at_work(inventory, "heal") as (where, progress):
        healed = site.heal(where.plays, where.cluster, progress)
    click.echo(f"{len(healed)} fault(s) healed; nothing is left in the ledger of cluster {where.cluster.name}")


@main.command()
@inventory_option
@errors_shown
def down(inventory: str) -> None:
    """Remove the machines that halab made, with their disks, keys and secrets."""
    from halab.driver import site

    with _at_work(inventory, "down") as (where, progress):
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
        click.echo(f"  {name:<18} {description}")
    click.echo("Runs")
    for run in overview.runs():
        click.echo(f"  {run.name:<40} {run.cluster:<16} {run.state}")


@contextmanager
def _at_work(inventory: str, what: str) -> Iterator[tuple[Site, Progress]]:
    """A cluster held for one command, with somebody listening."""
    from halab.driver import site
    from halab.driver.signals import interrupting

    where = site.open_site(inventory)
    with interrupting(), _progress() as progress, site.locked(where, f"halab {what}", progress):
        yield where, progress


@contextmanager
def _progress() -> Iterator[Progress]:
    """Live on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        from halab.driver.live import LiveProgress

        live = LiveProgress()
        with live.shown(Console(highlight=False)):
            yield live
    else:
        from halab.driver.progress import PlainProgress

        yield PlainProgress(click.echo)
