"""What the commands share: exit codes, errors in words, a cluster held, progress shown."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from halab.driver.progress import Progress
    from halab.driver.site import Site

P = ParamSpec("P")
R = TypeVar("R")

FAILED = 2
REFUSED = 3
INTERRUPTED = 130


class Commands(click.Group):
    """Wrong usage has an exit code of its own: click's is taken by `not proven`."""

    def main(self, *args: Any, **extra: Any) -> Any:
        _outlive_readers()
        try:
            code = super().main(*args, **(extra | {"standalone_mode": False}))
        except click.exceptions.Abort:
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(REFUSED)
        sys.exit(code if isinstance(code, int) else 0)


class _Unheard(io.FileIO):
    """A file whose reader may go away: what is written to nobody is dropped. Any other error is told once."""

    _lost = False

    def write(self, data: Any, /) -> int:
        try:
            return len(data) if self._lost else super().write(data)
        except OSError as error:
            self._lost = True
            if not isinstance(error, BrokenPipeError):
                raise
            return len(data)


def _outlive_readers() -> None:
    """Go on when whoever read our output has seen enough, as `head` has.

    A drill heals what it broke, and the exit code is that of the verdict, not of the pipe.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            file = io.BufferedWriter(_Unheard(stream.fileno(), "w", closefd=False))
            heard = io.TextIOWrapper(file, stream.encoding, stream.errors, line_buffering=stream.line_buffering)
            setattr(sys, name, heard)


def errors_shown(command: Callable[P, R]) -> Callable[P, R]:
    """Show errors that a person can act on without a traceback, and end with the code that fits.

    Anything else is a defect of halab and shown with its traceback.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from halab.errors import HalabError, InputError, told

        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            click.echo("halab: interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None
        except HalabError as error:
            refused = isinstance(error, InputError) or type(error).__name__ in ("Busy", "Refused", "Unsupported")
            text = str(error)
            click.echo(text if text.startswith("halab:") else f"halab: {text}", err=True)
            raise SystemExit(REFUSED if refused else FAILED) from None
        except OSError as error:
            click.echo(f"halab: {error}", err=True)
            raise SystemExit(FAILED) from None
        except (click.ClickException, click.exceptions.Abort, click.exceptions.Exit):
            raise
        except Exception as error:  # noqa: BLE001 (Python's own exit code of an exception means a broken promise)
            traceback.print_exc()
            click.echo(f"halab: {told(error)}. Please report it with the traceback above.", err=True)
            raise SystemExit(FAILED) from None

    return run


@contextmanager
def at_work(inventory: str, what: str) -> Iterator[tuple[Site, Progress]]:
    """Hold a cluster for one command and show its progress. Raises InputError or Busy."""
    from halab.driver import site
    from halab.driver.signals import interrupting

    where = site.open_site(inventory)
    with interrupting(), progress_shown() as progress, site.locked(where, f"halab {what}", progress):
        yield where, progress


@contextmanager
def progress_shown() -> Iterator[Progress]:
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
