#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""State of the balancers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_info
author: The halab authors
short_description: Ask the balancers which servers they use
version_added: 0.1.0
description:
  - Asks the statistics of every balancer, all at the same time, and returns the answers.
  - Asks whoever holds the shared address who it is.
  - A balancer that is down is an answer too; the module fails only when its own certificates cannot be used.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
    details: Never changes anything.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
options:
  balancers:
    description: The balancers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, returned as given.
        type: str
        required: true
      address:
        description: Literal address.
        type: str
        required: true
  address:
    description: The address that the balancers share; empty when there is none.
    type: str
    default: ""
  port:
    description: Port of the statistics.
    type: int
    default: 7000
  username:
    description: User of the statistics.
    type: str
    default: stats
  password:
    description: Password of O(username).
    type: str
    required: true
  tls:
    description: Whether the statistics are served over TLS.
    type: bool
    default: true
  path:
    description: Path of the statistics.
    type: str
    default: /stats
  node_path:
    description: Path at which a balancer tells its own address; empty when none does, and nobody is asked.
    type: str
    default: /node
  write_backend:
    description: Proxy of the sessions that write.
    type: str
    default: postgresql_write
  read_backend:
    description: Proxy of the sessions that read.
    type: str
    default: postgresql_read
  workers_backend:
    description: Proxy of the sessions with the leaders of Citus's workers; where there is none nobody gets them.
    type: str
    default: postgresql_workers
  names:
    description: Names under which servers are shown, by the names that HAProxy gives them. Others stay as they are.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Ask the balancers
  halab.stack.haproxy_info:
    balancers:
      - {name: lb1, address: 192.0.2.21}
      - {name: lb2, address: 192.0.2.22}
    address: 192.0.2.250
    password: "{{ haproxy_stats_password }}"
    ca_file: "{{ halab_state_dir }}/certs/ca.crt"
    cert_file: "{{ halab_state_dir }}/certs/client.crt"
    key_file: "{{ halab_state_dir }}/certs/client.key"
  delegate_to: localhost
  register: haproxy
"""

RETURN = r"""
holder:
  description: Who answered at the shared address.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the balancer; empty when none answers, its own name for itself when it is not one of
        O(balancers).
      type: str
    error:
      description: Why nobody answered, empty otherwise.
      type: str
balancers:
  description: The balancers, in the given order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name as given.
      type: str
    address:
      description: Address as given.
      type: str
    reachable:
      description: Whether it answered.
      type: bool
    error:
      description: Why it did not, empty otherwise.
      type: str
    write:
      description: Names of the servers that get the sessions of the write port.
      type: list
      elements: str
    read:
      description: Names of the servers that get the sessions of the read port. The primary is one only when there is
        no replica to read from.
      type: list
      elements: str
    workers:
      description: Names of the servers that get the sessions of the port for workers of Citus; empty without.
      type: list
      elements: str
    servers:
      description:
        - Every server of every proxy. C(proxy), C(server), C(address) (with port), C(up), C(status) and
          C(check_status) and C(last_check) in HAProxy's words,
          C(backup), C(sessions) (open now), C(since_s) (seconds in this status).
      type: list
      elements: dict
"""

import csv
import io
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, authority, in_parallel

BACKENDS = ("write_backend", "read_backend")
SHADOW = "-primary"
"""End of the name under which the read proxy knows a member as primary."""


def servers_in(table: str) -> list[dict[str, Any]]:
    """Return the servers in HAProxy's table of statistics. Raises HttpError when it is none."""
    rows = csv.DictReader(io.StringIO(table.removeprefix("# ")))
    if not {"pxname", "svname", "status"} <= set(rows.fieldnames or []):
        raise HttpError(f"the answer is no table of statistics: {table[:80]!r}")
    return [
        {
            "proxy": row["pxname"],
            "server": row["svname"],
            "address": row.get("addr", ""),
            "up": row["status"].split()[0] in ("UP", "no"),
            "status": row["status"],
            "check_status": row.get("check_status", "").removeprefix("* "),
            "last_check": row.get("last_chk", ""),
            "backup": row.get("bck") == "1",
            "sessions": _number(row.get("scur")),
            "since_s": _number(row.get("lastchg")),
        }
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND") and row["status"]
    ]


def used(servers: list[dict[str, Any]], proxy: str, names: Mapping[str, str]) -> list[str]:
    """Return the names of the members that get new sessions of `proxy`: backups count only when nobody else is up."""
    up = [server for server in servers if server["proxy"] == proxy and server["up"]]
    first = [server for server in up if not server["backup"]] or up[:1]
    plain = [server["server"].removesuffix(SHADOW) for server in first]
    return [names.get(name, name) for name in plain]


def ask(client: Client, url: str, deadline_s: float) -> str:
    """Return the text at `url`. Raises HttpError, also for an answer that is not 200."""
    answer = client.request(url, deadline_s=deadline_s)
    if answer.status != 200:
        hint = "; check haproxy_stats_user and haproxy_stats_password" if answer.status == 401 else ""
        raise HttpError(f"GET {url}: status {answer.status}{hint}")
    return answer.text()


def observe(params: Mapping[str, Any], client: Client) -> dict[str, Any]:
    """Return what the balancers of `params` say."""
    balancers = {balancer["address"]: balancer["name"] for balancer in params["balancers"]}
    scheme = "https" if params["tls"] else "http"

    def balancer(given: Mapping[str, str]) -> dict[str, Any]:
        seen: dict[str, Any] = {"name": given["name"], "address": given["address"], "reachable": False, "error": ""}
        servers: list[dict[str, Any]] = []
        try:
            url = f"{scheme}://{authority(given['address'], params['port'])}{params['path']};csv"
            servers = servers_in(ask(client, url, params["deadline_s"]))
            _require(servers, params)
            seen["reachable"] = True
        except HttpError as error:
            seen["error"] = str(error)
        write, read = (used(servers, params[key], params["names"]) for key in BACKENDS)
        workers = used(servers, params["workers_backend"], params["names"])
        return {**seen, "write": write, "read": read, "workers": workers, "servers": servers}

    def holder() -> dict[str, str]:
        if not params["address"] or not params["node_path"]:
            return {"name": "", "error": ""}
        try:
            url = f"{scheme}://{authority(params['address'], params['port'])}{params['node_path']}"
            node = ask(client, url, params["deadline_s"]).strip()
        except HttpError as error:
            return {"name": "", "error": str(error)}
        return {"name": balancers.get(node, node), "error": ""}

    looks = [holder, *((lambda given=given: balancer(given)) for given in params["balancers"])]
    answers = in_parallel(lambda look: look(), looks)
    return {"holder": answers[0], "balancers": answers[1:]}


def _require(servers: list[dict[str, Any]], params: Mapping[str, Any]) -> None:
    """Raises HttpError when a balancer has no proxy of the name that it should have."""
    there = sorted({server["proxy"] for server in servers})
    for key in BACKENDS:
        if params[key] not in there:
            have = ", ".join(there) or "none"
            raise HttpError(f"there is no backend {params[key]}; set haproxy_{key} to one that there is: {have}")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def main() -> None:
    """Run the module."""
    balancer = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "ca_file": {"type": "path", "required": True},
            "cert_file": {"type": "path", "required": True},
            "key_file": {"type": "path", "required": True},
            "deadline_s": {"type": "float", "default": 3.0},
            "balancers": {"type": "list", "elements": "dict", "required": True, "options": balancer},
            "address": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 7000},
            "username": {"type": "str", "default": "stats"},
            "password": {"type": "str", "required": True, "no_log": True},
            "tls": {"type": "bool", "default": True},
            "path": {"type": "str", "default": "/stats"},
            "node_path": {"type": "str", "default": "/node"},
            "write_backend": {"type": "str", "default": "postgresql_write"},
            "read_backend": {"type": "str", "default": "postgresql_read"},
            "workers_backend": {"type": "str", "default": "postgresql_workers"},
            "names": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    keys = ("ca_file", "cert_file", "key_file", "username", "password")
    try:
        client = Client.connectable(**{key: params[key] for key in keys})
    except HttpError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **observe(params, client))


if __name__ == "__main__":
    main()
