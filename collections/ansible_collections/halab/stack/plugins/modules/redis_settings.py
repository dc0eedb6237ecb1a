#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of a running Redis node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_settings
author: The halab authors
short_description: Bring a running Redis server and its Sentinel to their declared settings
description:
  - Compares the settings and access rules of the Redis server and the Sentinel on this host with the declared ones, and changes only what differs,
    by C(CONFIG SET), C(SENTINEL SET) and C(ACL LOAD).
  - Never changes who replicates from whom. What the Sentinels decided since the cluster was made stays.
  - Then waits until the node serves, with its replication link up and enough Sentinels in touch.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The value of a secret is never shown.
  idempotent:
    support: full
options:
  address:
    description: Literal address of this node.
    type: str
    required: true
  username:
    description: User that may change everything, in Redis and in Sentinel.
    type: str
    default: admin
  password:
    description: Password of O(username).
    type: str
    required: true
  redis:
    description: The Redis server.
    type: dict
    required: true
    suboptions: &process
      port:
        description: TLS port.
        type: int
        required: true
      config_file:
        description: Its configuration file.
        type: path
        required: true
      acl_file:
        description: Its file of access rules.
        type: path
        required: true
      acl:
        description: The access rules.
        type: str
        required: true
      settings:
        description: Its settings. One that cannot be changed at run time is changed in the file, and a restart asked for.
        type: dict
        required: true
  sentinel:
    description: The Sentinel.
    type: dict
    required: true
    suboptions: *process
  replication_password:
    description: Password that the server shows to its master.
    type: str
    required: true
  sentinel_password:
    description: Password that a Sentinel shows to servers and other Sentinels.
    type: str
    required: true
  master_name:
    description: Name under which the Sentinels know this cluster.
    type: str
    default: main
  master_settings:
    description: Settings of the master for C(SENTINEL SET), with C(quorum).
    type: dict
    required: true
  sentinel_settings:
    description: Settings for C(SENTINEL CONFIG SET).
    type: dict
    default: {}
  master:
    description: Address of the current master, told to a Sentinel that watches no master of this name.
    type: str
    required: true
  reload_tls:
    description: Whether the certificates have been replaced. The Redis server then reads them again; a Sentinel cannot, and must be restarted.
    type: bool
    default: false
  restart:
    description: Processes to restart first. Not in check mode.
    type: list
    elements: str
    choices: [redis, sentinel]
    default: []
  wait_s:
    description: Seconds to wait for each process to answer, and for the node to serve.
    type: float
    default: 30.0
"""

EXAMPLES = r"""
- name: Give the node its settings
  halab.stack.redis_settings:
    address: 192.0.2.31
    password: "{{ redis_admin_password }}"
    ca_file: /etc/redis/tls/ca.crt
    cert_file: /etc/redis/tls/node.crt
    key_file: /etc/redis/tls/node.key
    redis:
      port: 6379
      config_file: /etc/redis/redis.conf
      acl_file: /etc/redis/redis.acl
      acl: "{{ lookup('ansible.builtin.template', 'redis.acl.j2') }}"
      settings: {maxmemory-policy: noeviction}
    sentinel:
      port: 26379
      config_file: /etc/redis/sentinel.conf
      acl_file: /etc/redis/sentinel.acl
      acl: "{{ lookup('ansible.builtin.template', 'sentinel.acl.j2') }}"
      settings: {tls-port: "26379"}
    replication_password: "{{ redis_replication_password }}"
    sentinel_password: "{{ redis_sentinel_password }}"
    master_settings: {quorum: "2", down-after-milliseconds: "5000"}
    master: 192.0.2.31
"""

RETURN = r"""
changes:
  description: Names of the settings that were changed, or would be in check mode.
  returned: always
  type: list
  elements: str
restart:
  description: Processes that must be restarted for a setting to take effect, C(redis) and C(sentinel).
  returned: always
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils import redis_converge
from ansible_collections.halab.stack.plugins.module_utils.redis_converge import ConvergeError, Outcome, Process
from ansible_collections.halab.stack.plugins.module_utils.redis_nodes import redis_view, sentinel_view
from ansible_collections.halab.stack.plugins.module_utils.redis_options import access_of
from ansible_collections.halab.stack.plugins.module_utils.resp import RespError

UNITS = {"redis": "redis-server.service", "sentinel": "redis-sentinel.service"}

PROCESS: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "port": {"type": "int", "required": True},
        "config_file": {"type": "path", "required": True},
        "acl_file": {"type": "path", "required": True},
        "acl": {"type": "str", "required": True, "no_log": True},
        "settings": {"type": "dict", "required": True},
    },
}

ARGUMENTS: dict[str, Any] = {
    "ca_file": {"type": "path", "required": True},
    "cert_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True},
    "deadline_s": {"type": "float", "default": 3.0},
    "address": {"type": "str", "required": True},
    "username": {"type": "str", "default": "admin"},
    "password": {"type": "str", "required": True, "no_log": True},
    "redis": PROCESS,
    "sentinel": PROCESS,
    "replication_password": {"type": "str", "required": True, "no_log": True},
    "sentinel_password": {"type": "str", "required": True, "no_log": True},
    "master_name": {"type": "str", "default": "main"},
    "master_settings": {"type": "dict", "required": True},
    "sentinel_settings": {"type": "dict", "default": {}},
    "master": {"type": "str", "required": True},
    "reload_tls": {"type": "bool", "default": False},
    "restart": {"type": "list", "elements": "str", "choices": ["redis", "sentinel"], "default": []},
    "wait_s": {"type": "float", "default": 30.0},
}


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


def converge(params: Mapping[str, Any], redis: Process, sentinel: Process) -> dict[str, Outcome]:
    """Make the settings so. Raises ConvergeError or RespError."""
    files = {name: params["redis"]["settings"][name] for name in ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")}
    return {
        "redis": redis_converge.converge_redis(
            redis,
            settings=_words(params["redis"]["settings"]),
            secrets={"masterauth": params["replication_password"]},
            reload=files if params["reload_tls"] else {},
        ),
        "sentinel": redis_converge.converge_sentinel(
            sentinel,
            master_name=params["master_name"],
            master=(params["master"], params["redis"]["port"]),
            settings=_words(params["sentinel"]["settings"]),
            of_master={**_words(params["master_settings"]), "auth-pass": params["sentinel_password"]},
            of_sentinel={**_words(params["sentinel_settings"]), "sentinel-pass": params["sentinel_password"]},
            secret=frozenset({"auth-pass", "sentinel-pass"}),
        ),
    }


def await_service(params: Mapping[str, Any], redis: Process, sentinel: Process) -> None:
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

    def watching() -> None:
        with redis_converge.connect(sentinel) as connection:
            view = sentinel_view(connection, params["master_name"])
        if not view.quorum_reachable:
            raise RespError(view.quorum_message or view.error)

    where = params["address"]
    redis_converge.until(replicating, wait_s=params["wait_s"], what=f"Redis on {where} to serve")
    redis_converge.until(watching, wait_s=params["wait_s"], what=f"Sentinel on {where} to reach a quorum")


def restart_units(module: AnsibleModule) -> None:
    """Restart the processes that the options ask for. Raises ConvergeError."""
    units = [UNITS[which] for which in ("redis", "sentinel") if which in module.params["restart"]]
    for unit in units:
        code, out, err = module.run_command(["systemctl", "restart", unit])
        if code != 0:
            raise ConvergeError(f"systemctl restart {unit}: {(err or out).strip()}")


def difference(outcomes: Mapping[str, Outcome]) -> list[dict[str, str]]:
    """Return before and after in Ansible's form, without secrets."""
    shown: list[dict[str, str]] = []
    for which, outcome in outcomes.items():
        before = [f"{one.name} {'(secret)' if one.secret else one.before}\n" for one in outcome.changes]
        after = [f"{one.name} {'(another secret)' if one.secret else one.after}\n" for one in outcome.changes]
        if outcome.changes:
            shown.append({"before_header": which, "after_header": which, "before": "".join(before), "after": "".join(after)})
    return shown


def _words(settings: Mapping[str, Any]) -> dict[str, str]:
    words = {True: "yes", False: "no"}
    return {name: words[value] if isinstance(value, bool) else str(value) for name, value in settings.items()}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        redis = process_of(params, "redis", check_mode=module.check_mode)
        sentinel = process_of(params, "sentinel", check_mode=module.check_mode)
        if not module.check_mode:
            restart_units(module)
        outcomes = converge(params, redis, sentinel)
        restart = [which for which, outcome in outcomes.items() if outcome.restart]
        if params["reload_tls"] and "sentinel" not in restart:
            restart.append("sentinel")
        if not restart and not module.check_mode:
            await_service(params, redis, sentinel)
    except (ConvergeError, RespError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    changes = [change.name for outcome in outcomes.values() for change in outcome.changes]
    result: dict[str, Any] = {"changed": bool(changes or params["restart"]), "changes": changes, "restart": restart}
    if module._diff:
        result["diff"] = difference(outcomes)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
