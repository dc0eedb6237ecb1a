#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of a running Redis node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_settings
author: The halab authors
short_description: Bring a running Redis server and its Sentinel to their declared settings
version_added: 0.1.0
description:
  - Compares the settings and access rules of the Redis server and the Sentinel on this host with the declared ones,
    and changes only what differs,
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
        description: Its settings. One that cannot be changed at run time is changed in the file, and a restart asked
          for.
        type: dict
        required: true
  sentinel:
    description: The Sentinel. Without it there is none on this node.
    type: dict
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
  passwords:
    description:
      - How far to go where passwords differ. All members have to take one step before the first takes the next, or
        those with the new
        passwords and those with the old ones lose touch, and a healthy master is taken for dead.
      - V(accepted) accepts the new passwords besides the old ones, V(used) shows the new ones to others, V(only)
        accepts no old ones any more.
        Where the access rules are as declared there are no steps.
    type: str
    choices: [accepted, used, only]
    default: accepted
  reload_tls:
    description: Whether the certificates have been replaced. The Redis server then reads them again; a Sentinel
      cannot, and must be restarted.
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
both_passwords:
  description: Whether old and new passwords are valid now, so that more steps of O(passwords) must follow.
  returned: always
  type: bool
restart:
  description: Processes that must be restarted for a setting to take effect, C(redis) and C(sentinel).
  returned: always
  type: list
  elements: str
"""

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.redis_converge import Change, ConvergeError
from ansible_collections.halab.stack.plugins.module_utils.redis_member import (
    await_service,
    converge,
    converge_acls,
    process_of,
)
from ansible_collections.halab.stack.plugins.module_utils.resp import RespError

UNITS = {"redis": "redis-server.service", "sentinel": "redis-sentinel.service"}

PROCESS: dict[str, Any] = {
    "type": "dict",
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
    "redis": {**PROCESS, "required": True},
    "sentinel": PROCESS,
    "replication_password": {"type": "str", "required": True, "no_log": True},
    "sentinel_password": {"type": "str", "required": True, "no_log": True},
    "master_name": {"type": "str", "default": "main"},
    "master_settings": {"type": "dict", "required": True},
    "sentinel_settings": {"type": "dict", "default": {}},
    "master": {"type": "str", "required": True},
    "passwords": {"type": "str", "choices": ["accepted", "used", "only"], "default": "accepted"},
    "reload_tls": {"type": "bool", "default": False},
    "restart": {"type": "list", "elements": "str", "choices": ["redis", "sentinel"], "default": []},
    "wait_s": {"type": "float", "default": 30.0},
}


def restart_units(module: AnsibleModule) -> None:
    """Restart the processes that the options ask for. Raises ConvergeError."""
    units = [unit for which, unit in UNITS.items() if which in module.params["restart"]]
    for unit in units:
        code, out, err = module.run_command(["systemctl", "restart", unit])
        if code != 0:
            raise ConvergeError(f"systemctl restart {unit}: {(err or out).strip()}")


def difference(which: str, changes: Sequence[Change]) -> dict[str, str]:
    """Return before and after of one process in Ansible's form, without secrets."""
    before = [f"{one.name} {'(secret)' if one.secret else one.before}\n" for one in changes]
    after = [f"{one.name} {'(another secret)' if one.secret else one.after}\n" for one in changes]
    return {"before_header": which, "after_header": which, "before": "".join(before), "after": "".join(after)}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do what the module is for and return its result. Raises ConvergeError, RespError or OSError."""
    params, pretend = module.params, module.check_mode
    processes = {which: process_of(params, which, check_mode=pretend) for which in UNITS if params[which]}
    if not pretend:
        restart_units(module)
    rules = converge_acls(params, list(processes.values()))
    both = any(outcome.both for outcome in rules)
    outcomes = converge(params, **processes, secrets=not both or params["passwords"] != "accepted")
    restart = [which for which, outcome in outcomes.items() if outcome.restart]
    if params["reload_tls"] and "sentinel" in processes and "sentinel" not in restart:
        restart.append("sentinel")
    if not restart and not pretend:
        await_service(params, **processes)
    changes = {which: acl.changes + outcomes[which].changes for which, acl in zip(processes, rules, strict=True)}
    return {
        "changed": bool(any(changes.values()) or params["restart"]),
        "changes": [change.name for each in changes.values() for change in each],
        "restart": restart,
        "both_passwords": both and not pretend,
        "diff": [difference(which, each) for which, each in changes.items() if each],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module)
    except (ConvergeError, RespError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    if not module._diff:
        del result["diff"]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
