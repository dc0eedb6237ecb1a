# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PostgreSQL server of this host, asked through its socket as the operating system user that owns it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Run = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a command and returns its exit code, output and errors, as AnsibleModule.run_command does."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "database": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "superuser": {"type": "str", "default": "postgres"},
    "socket_directory": {"type": "path", "default": "/var/run/postgresql"},
    "system_user": {"type": "str", "default": "postgres"},
}
_CONNECT_S = 5
_AS_JSON = "SELECT coalesce(json_agg(row_to_json(found)), '[]') FROM ({query}) AS found"
_VALUE = "SELECT {expression} AS value"


class SqlError(Exception):
    """The server does not answer, or refused a statement. The message is its own."""


@dataclass(frozen=True, slots=True)
class Psql:
    """Runs statements one by one, each in a session of its own."""

    run: Run
    conninfo: str
    system_user: str

    @classmethod
    def of(cls, parameters: Mapping[str, Any], run: Run) -> Psql:
        """Return the way to the server for a module's parameters."""
        words = {
            "dbname": parameters["database"],
            "host": parameters["socket_directory"],
            "port": parameters["port"],
            "user": parameters["superuser"],
            "connect_timeout": _CONNECT_S,
            "application_name": "halab",
        }
        conninfo = " ".join(f"{key}={_quoted(str(value))}" for key, value in words.items())
        return cls(run, conninfo, parameters["system_user"])

    def execute(self, *statements: str) -> str:
        """Run statements in one session, each in a transaction of its own; return the text of their rows.

        Raises SqlError at the first that fails.
        """
        program = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        commands = [word for statement in statements for word in ("--command", statement)]
        words = ["runuser", "--user", self.system_user, "--", *program, f"--dbname={self.conninfo}", *commands]
        code, out, err = self.run(words)
        if code != 0:
            raise SqlError(err.strip() or f"psql ended with {code}")
        return out.strip()

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries. Raises SqlError."""
        text = self.execute(_AS_JSON.format(query=query))
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def value(self, expression: str) -> Any:
        """Return the value of an expression. Raises SqlError."""
        return self.rows(_VALUE.format(expression=expression))[0]["value"]


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
