# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of changed settings: what is asked, whether it can be done and undone, and by which commands."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import boot, config_file, config_patroni
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.config_record import VARIABLE, ConfigError
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import require_program
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import Probe, output

_NOTHING = "Nothing was changed."
_EDITS = ("content", "append", "regexp")
_OF_FILE = ("path", "content", "append", "regexp", "replace", "apply")
_OF_PATRONI = ("endpoints", "settings", "password", "ca_file", "cert_file", "key_file")
# One variable of the environment may have 128 KiB.
_MOST_HANDED = 120_000


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """Raises FaultError when the parameters are wrong or the setting cannot be changed."""
    for name in ("observed_within", "gone_within"):
        if parameters[name] <= 0:
            raise FaultError(f"{name} = {parameters[name]}: is not a positive number of seconds. {_NOTHING}")
    for name in ("apply", "check_command"):
        if parameters[name]:
            require_program(parameters[name][0], package="that has it", purpose=name)
    foreign = _OF_PATRONI if parameters["kind"] == "file" else _OF_FILE
    given = [name for name in foreign if parameters[name]]
    if given:
        raise FaultError(f"{', '.join(given)}: says nothing about kind={parameters['kind']}. Leave it out. {_NOTHING}")
    return _file_plan(parameters) if parameters["kind"] == "file" else _patroni_plan(parameters)


def _file_plan(parameters: Mapping[str, Any]) -> Plan:
    edit = {name: parameters[name] for name in (*_EDITS, "replace")}
    path = _checked_path(parameters["path"], edit, Path(parameters["ledger_dir"]) / f"{parameters['id']}.json")
    _hand({**edit})
    agent = Agent(Path(parameters["ledger_dir"]), ("config_record", "config_file"))
    place = (parameters["ledger_dir"], parameters["id"], str(path))
    state = agent.argv("config-file-state", *place)
    apply = (tuple(parameters["apply"]),) if parameters["apply"] else ()
    observed, gone = _checks(parameters, agent)
    return Plan(
        **common(parameters),
        fault="config",
        target=str(path),
        parts=agent.parts,
        inject=(agent.argv("config-file-change", *place), *apply),
        undo=(agent.argv("config-file-restore", *place), *apply),
        observed=(output(state, "changed"), *observed),
        gone=(output(state, "original"), *gone),
        observed_within_s=parameters["observed_within"],
        gone_within_s=parameters["gone_within"],
        outlives_boot=True,
    )


def _checked_path(value: str | None, edit: Mapping[str, Any], entry: Path) -> Path:
    """The file itself, behind any links. Raises FaultError."""
    chosen = [name for name in _EDITS if edit[name] is not None]
    if not value:
        raise FaultError(f"path: is missing, and kind=file needs it. Give a file. {_NOTHING}")
    if len(chosen) != 1 or (edit["replace"] is not None and chosen != ["regexp"]):
        raise FaultError(
            f"{', '.join(_EDITS)}: exactly one of these says what to change, and replace goes with regexp only; given: "
            f"{', '.join(chosen + ['replace'] * (edit['replace'] is not None)) or 'none'}. {_NOTHING}"
        )
    path = Path(value).resolve()
    problem = ""
    if not Path(value).is_absolute():
        problem = "is not an absolute path"
    elif path.is_relative_to(entry.parent.resolve()):
        problem = "belongs to the ledger, which must heal the fault"
    elif path.exists() and not path.is_file():
        problem = "is not a regular file"
    elif not path.parent.is_dir():
        problem = f"its folder {path.parent} is not there"
    elif not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        problem = "cannot be written (read-only filesystem, or not root)"
    elif path.exists() and path.stat().st_size > config_file.MOST_BYTES:
        problem = f"is larger than {config_file.MOST_BYTES} bytes, so it is no configuration"
    # The change of an entry that is there already was checked when it was made.
    elif not entry.exists():
        try:
            config_file.edited(config_file.content(path), edit)
        except ConfigError as error:
            problem = str(error)
    if problem:
        raise FaultError(f"path = {value!r}: {problem}. {_NOTHING}")
    return path


def _patroni_plan(parameters: Mapping[str, Any]) -> Plan:
    for name in _OF_PATRONI:
        if not parameters[name]:
            raise FaultError(f"{name}: is missing, and kind=patroni needs it. {_NOTHING}")
    for endpoint in parameters["endpoints"]:
        if not endpoint.startswith("https://"):
            raise FaultError(f"endpoints = {endpoint!r}: is not an https URL of a member's REST API. {_NOTHING}")
    for name in ("ca_file", "cert_file", "key_file"):
        if not os.access(parameters[name], os.R_OK):
            raise FaultError(f"{name} = {parameters[name]!r}: cannot be read. Give the controller's file. {_NOTHING}")
    cluster = config_patroni.Cluster(
        endpoints=tuple(parameters["endpoints"]),
        ca_file=parameters["ca_file"],
        cert_file=parameters["cert_file"],
        key_file=parameters["key_file"],
    )
    settings = parameters["settings"]
    if not (Path(parameters["ledger_dir"]) / f"{parameters['id']}.json").exists():
        _require_difference(cluster, settings)
    _hand({"settings": settings, "username": parameters["username"], "password": parameters["password"]})
    agent = Agent(Path(parameters["ledger_dir"]), ("config_record", "config_patroni"))
    place = (parameters["ledger_dir"], parameters["id"], *cluster.words())
    state = agent.argv("config-patroni-state", *place)
    observed, gone = _checks(parameters, agent)
    names = ", ".join(".".join(path) for path, _value in config_patroni.leaves(settings))
    return Plan(
        **common(parameters),
        fault="config",
        target=f"Patroni ({names})",
        # One at a time: the second would take the first one's values for the original ones.
        exclusive=f"config of Patroni at {min(cluster.endpoints)}",
        parts=agent.parts,
        inject=(agent.argv("config-patroni-change", *place),),
        undo=(agent.argv("config-patroni-restore", *place),),
        observed=(output(state, "changed"), *observed),
        gone=(output(state, "original"), *gone),
        observed_within_s=parameters["observed_within"],
        gone_within_s=parameters["gone_within"],
        # The setting is in etcd. A controller that cannot sweep at boot heals it by `heal` after its restart.
        outlives_boot=not boot.impossible(),
    )


def _require_difference(cluster: config_patroni.Cluster, settings: Mapping[str, Any]) -> None:
    try:
        config = cluster.get(cluster.editor(), "/config")
    except ConfigError as error:
        raise FaultError(f"endpoints: the configuration cannot be read: {error}. {_NOTHING}") from error
    if not config_patroni.different(config, settings):
        raise FaultError(f"settings = {json.dumps(settings)}: are so already. Give others. {_NOTHING}")


def _checks(parameters: Mapping[str, Any], agent: Agent) -> tuple[tuple[Probe, ...], tuple[Probe, ...]]:
    if not parameters["check_command"]:
        return (), ()
    argv = agent.argv("config-check", *parameters["check_command"])
    return (output(argv, "holds"),), (output(argv, "fails"),)


def _hand(values: Mapping[str, Any]) -> None:
    text = json.dumps(values, ensure_ascii=False)
    if len(text.encode("utf-8", errors="surrogatepass")) > _MOST_HANDED:
        raise FaultError(f"content, append, regexp, settings: are more than {_MOST_HANDED} bytes. {_NOTHING}")
    os.environ[VARIABLE] = text
