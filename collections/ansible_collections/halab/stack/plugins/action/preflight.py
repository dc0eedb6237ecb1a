# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of halab.stack.preflight: turns the inventory into a description and judges it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.halab.stack.plugins.module_utils import preflight_citus
from ansible_collections.halab.stack.plugins.module_utils.preflight import (
    COMPONENTS,
    PASSWORDS,
    PORTS,
    SETTINGS,
    Description,
    Host,
    check,
    examples,
)
from ansible_collections.halab.stack.plugins.module_utils.timing import Problem

ROLES = Path(__file__).parents[2] / "roles"


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of halab.stack.preflight. It reaches no host."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Judge the inventory of this play."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={"required_groups": {"type": "list", "elements": "str", "default": list(COMPONENTS)}}
        )
        variables = task_vars or {}
        problems: list[Problem] = []
        description = self._describe(variables, arguments["required_groups"], problems)
        problems += [*examples(description), *check(description)]
        problems += _unusable_state_dir(description)
        found, notes, warnings = preflight_citus.check(description)
        problems += found
        result["changed"] = False
        result["notes"] = notes + warnings
        if warnings:
            result["warnings"] = warnings
        result["problems"] = [{"key": item.key, "value": item.value, "fix": item.fix} for item in problems]
        if problems:
            lines = "".join(f"\n  {problem}" for problem in problems)
            result["failed"] = True
            result["msg"] = f"{len(problems)} problem(s) in the inventory; nothing was changed:{lines}"
        return result

    def _describe(self, variables: Mapping[str, Any], required: list[str], problems: list[Problem]) -> Description:
        known = variables["groups"]
        groups = {group: list(known[group]) for group in {*COMPONENTS, *required} if group in known}
        hosts = {}
        for name in dict.fromkeys(name for members in groups.values() for name in members):
            values = variables["hostvars"][name]
            mine = [group for group, members in groups.items() if name in members]
            roles = [*mine, *(["citus"] if "patroni" in mine else [])]
            settings = {key: value for role in roles for key, value in self._defaults(role).items()}
            settings.update((key, _read(values, key, problems)) for key in _keys(mine) if key in values)
            address = _read(values, "ansible_host", problems)
            port = _read(values, "ansible_port", problems)
            hosts[name] = Host(name, None if address is None else str(address), settings, 22 if port is None else port)
        return Description(hosts, groups, required)

    def _defaults(self, role: str) -> dict[str, Any]:
        """Return the literal defaults of a role; those that are templates are right by construction."""
        path = ROLES / role / "defaults" / "main.yml"
        if not path.is_file():
            return {}
        defaults: Mapping[str, Any] = self._loader.load_from_file(str(path)) or {}
        return {key: value for key, value in defaults.items() if not (isinstance(value, str) and "{{" in value)}


def _keys(groups: list[str]) -> Iterator[str]:
    yield from SETTINGS
    yield from preflight_citus.SETTINGS
    for group in groups:
        yield from PORTS.get(group, ())
        yield from PASSWORDS.get(group, ())


def _read(values: Mapping[str, Any], key: str, problems: list[Problem]) -> Any:
    if key not in values:
        return None
    try:
        return values[key]
    except AnsibleError as error:
        problems.append(Problem(key, "cannot be evaluated", str(error).splitlines()[0]))
        return None


def _unusable_state_dir(description: Description) -> Iterator[Problem]:
    paths = {str(host.variables.get("halab_state_dir") or "") for host in description.hosts.values()}
    for path in sorted(paths - {""}):
        place = Path(path).expanduser()
        if not place.is_absolute():
            continue
        if place.exists() and not place.is_dir():
            yield Problem("halab_state_dir", path, "name a directory; this is another kind of file")
        elif place.is_dir() and not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            yield Problem("halab_state_dir", path, "make it readable and writable for the user that runs Ansible")
