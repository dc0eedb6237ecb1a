# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a changed setting was before, kept beside the ledger entry for as long as that is there.

A file of its own, readable by its owner only, because a setting may hold a secret and an entry is shown to people.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, write_whole
from ansible_collections.halab.faults.plugins.module_utils.probes import run

# How a module hands values to the commands that it runs: arguments are visible to everybody on the machine.
VARIABLE = "HALAB_FAULT_CONFIG"


class ConfigError(Exception):
    """A setting cannot be changed, read or restored; says which and what is so now."""


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one fault. It is written before the setting is changed, and once."""

    path: Path

    @classmethod
    def of(cls, directory: str, entry_id: str) -> Record:
        return cls(Ledger(Path(directory)).record(entry_id))

    def read(self) -> dict[str, Any] | None:
        """None when there is none. Raises ConfigError when it cannot be understood."""
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path}: is not the record of a changed setting ({error})") from error
        return dict(data)

    def write(self, data: Mapping[str, Any]) -> None:
        """Keep `data` so that it outlives this boot, for its owner's eyes only. Raises OSError."""
        write_whole(self.path, json.dumps(data))


def handed() -> dict[str, Any]:
    """What the module handed over. Raises ConfigError when it did not."""
    try:
        return dict(json.loads(os.environ[VARIABLE]))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{VARIABLE} is not in the environment, so it is not known what to change") from error


def told(command: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """`command` with its errors as words and exit code 1."""

    def wrapped(arguments: Sequence[str]) -> int:
        try:
            return command(arguments)
        except (ConfigError, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{error}\n")
            return 1

    return wrapped


def _check(arguments: Sequence[str]) -> int:
    """ARGV...: say `holds` when the command exits 0, else `fails`."""
    code, out, err = run(arguments)
    if code in (124, 127):
        sys.stderr.write(f"{err}\n")
        return 1
    lines = (out or err).splitlines()
    said = f": {lines[0][:200]}" if lines else ""
    sys.stdout.write(f"{'holds' if code == 0 else 'fails'}\n`{' '.join(arguments)}` exits {code}{said}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"config-check": told(_check)}
