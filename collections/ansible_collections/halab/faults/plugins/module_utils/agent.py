# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent: our code in an archive beside the ledger, because a module's own code disappears with the module.

The guardian, the sweep at boot, injectors that run as long as their fault, and undo commands that no program of the
host offers are commands of it: `python3 -I <ledger>/.agent-<digest>.pyz COMMAND ARGUMENT...`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import io
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import boot, guardian, injector
from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv, LedgerError, write_whole

_PACKAGE = "ansible_collections.halab.faults.plugins.module_utils"
_CORE = ("clock", "probes", "waiting", "ledger", "healing", "boot", "guardian", "injector", "procs", "agent")
_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    **guardian.COMMANDS,
    **boot.COMMANDS,
    **injector.COMMANDS,
}

Command = Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent of a ledger with the commands of `parts`: modules of this package with a mapping COMMANDS, or
    that such a module imports.

    A command takes its arguments and returns an exit code. The caller must import the parts, so that Ansible sends
    them to the host. A part may import the core (see _CORE), the standard library and the parts before it.
    """

    directory: Path
    parts: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Named by its content, so that commands in old ledger entries keep what they were written for."""
        return self.directory / f".agent-{self._digest()}.pyz"

    def argv(self, command: str, *arguments: str) -> Argv:
        return (sys.executable, "-I", str(self.path), command, *arguments)

    def install(self) -> None:
        """Write the archive unless it is there. Raises OSError, LedgerError when the sources cannot be read."""
        path = self.path
        if path.exists():
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, self._archive())

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[None]:
        """Have the archive for a look only: what was not there before is not there afterwards."""
        made = [path for path in (self.path, self.directory, *self.directory.parents) if not path.exists()]
        self.install()
        try:
            yield
        finally:
            for path in made:
                # A folder that somebody else began to use meanwhile stays.
                with contextlib.suppress(OSError):
                    path.rmdir() if path.is_dir() else path.unlink()

    def _sources(self) -> dict[str, str]:
        return {part: _source(f"{_PACKAGE}.{part}") for part in dict.fromkeys((*_CORE, *self.parts))}

    def _digest(self) -> str:
        text = "\0".join(f"{part}\0{source}" for part, source in self._sources().items())
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _archive(self) -> bytes:
        data = io.BytesIO()
        folders = _PACKAGE.split(".")
        with zipfile.ZipFile(data, "w", compression=zipfile.ZIP_DEFLATED) as archive:
            for depth in range(len(folders)):
                archive.writestr("/".join(folders[: depth + 1]) + "/__init__.py", "")
            for part, source in self._sources().items():
                archive.writestr("/".join(folders) + f"/{part}.py", source)
            main = f"from {_PACKAGE}.agent import dispatch\ndispatch({self.parts!r})\n"
            archive.writestr("__main__.py", main)
        return data.getvalue()


def dispatch(parts: Sequence[str]) -> None:
    """Entry of the archive: run the command on the command line."""
    name, *arguments = sys.argv[1:] or [""]
    # The core's commands are asked for most, and need none of the parts.
    commands: dict[str, Command] = dict(_COMMANDS)
    for part in parts if name not in commands else ():
        commands.update(getattr(importlib.import_module(f"{_PACKAGE}.{part}"), "COMMANDS", {}))
    if name not in commands:
        sys.exit(f"no command {name!r}; there are: {', '.join(sorted(commands))}")
    sys.exit(commands[name](arguments))


def _source(module: str) -> str:
    """A module's text, also out of the archive in which Ansible runs modules."""
    spec = importlib.util.find_spec(module)
    get_source = getattr(spec.loader if spec else None, "get_source", None)
    source = get_source(module) if get_source else None
    if not isinstance(source, str):
        raise LedgerError(f"the source of {module} cannot be read, so no self-heal can be armed.")
    return source
