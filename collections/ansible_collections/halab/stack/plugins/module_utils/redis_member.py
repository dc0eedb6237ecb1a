# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One node of a Redis cluster, as the options of redis_settings describe it: its server and its Sentinel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils import redis_converge
from ansible_collections.halab.stack.plugins.module_utils.redis_converge import AclOutcome, Outcome, Process
from ansible_collections.halab.stack.plugins.module_utils.redis_nodes import redis_view, sentinel_view
from ansible_collections.halab.stack.plugins.module_utils.redis_options import access_of
from ansible_collections.halab.stack.plugins.module_utils.resp import RespError


def words(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings in the words of the servers."""
    booleans = {True: "yes", False: "no"}
    return {name: booleans[value] if isinstance(value, bool) else str(value) for name, value in settings.items()}


def process_of(params: Mapping[str, Any], which: str, *, check_mode: bool) -> Process:
    """Return the process that the option `which` describes. Raises RespError when certificates cannot be used."""
    option = params[which]
    return Process(
        title={"redis": "Redis", "sentinel": "Sentinel"}[which],
        address=params["address"],
        port=option["port"],
        config_file=option["config_file"],
        acl_file=option["acl_file"],
        acl=option["acl"],
        access=access_of(params, password=params["password"]),
        check_mode=check_mode,
        wait_s=params["wait_s"],
    )


def converge_acls(params: Mapping[str, Any], processes: Sequence[Process]) -> list[AclOutcome]:
    """Make the access rules of both processes so. Raises ConvergeError or RespError."""
    return [redis_converge.converge_acl(process, keep_old=params["passwords"] != "only") for process in processes]


def converge(
    params: Mapping[str, Any], redis: Process, sentinel: Process | None = None, *, secrets: bool
) -> dict[str, Outcome]:
    """Make the settings so, `secrets` says whether the passwords too. Raises ConvergeError or RespError."""
    files = {name: params["redis"]["settings"][name] for name in ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")}
    outcomes = {
        "redis": redis_converge.converge_redis(
            redis,
            settings=words(params["redis"]["settings"]),
            secrets={"masterauth": params["replication_password"]} if secrets else {},
            reload=files if params["reload_tls"] else {},
        )
    }
    if sentinel:
        outcomes["sentinel"] = _converge_sentinel(params, sentinel, secrets=secrets)
    return outcomes


def _converge_sentinel(params: Mapping[str, Any], sentinel: Process, *, secrets: bool) -> Outcome:
    of_master, of_sentinel = words(params["master_settings"]), words(params["sentinel_settings"])
    if secrets:
        of_master["auth-pass"] = of_sentinel["sentinel-pass"] = params["sentinel_password"]
    return redis_converge.converge_sentinel(
        sentinel,
        master_name=params["master_name"],
        master=(params["master"], params["redis"]["port"]),
        settings=words(params["sentinel"]["settings"]),
        of_master=of_master,
        of_sentinel=of_sentinel,
        secret=frozenset({"auth-pass", "sentinel-pass"}),
    )


def await_service(params: Mapping[str, Any], redis: Process, sentinel: Process | None = None) -> None:
    """Wait until the node serves. Raises ConvergeError saying what it waited for."""
    needed = int(params["redis"]["settings"].get("min-replicas-to-write", 0))

    def replicating() -> None:
        with redis_converge.connect(redis) as connection:
            view = redis_view(connection)
        if view.loading:
            raise RespError("it still loads its data")
        if view.role == "replica" and not view.master_link_up:
            raise RespError(f"its link to the master {view.master_address} is down")
        if view.role == "master" and view.good_replicas < needed:
            raise RespError(f"{view.good_replicas} replicas follow closely, {needed} are needed to accept writes")

    def watching(sentinel: Process) -> None:
        with redis_converge.connect(sentinel) as connection:
            view = sentinel_view(connection, params["master_name"])
        if not view.quorum_reachable:
            raise RespError(view.quorum_message or view.error)

    where = params["address"]
    redis_converge.until(replicating, wait_s=params["wait_s"], what=f"Redis on {where} to serve")
    if sentinel:
        found = partial(watching, sentinel)
        redis_converge.until(found, wait_s=params["wait_s"], what=f"Sentinel on {where} to reach a quorum")
