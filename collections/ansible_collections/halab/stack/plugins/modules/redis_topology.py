#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is there before a Redis node is configured."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_topology
author: The halab authors
short_description: Find out whether a Redis node is new, and who the master is
version_added: 0.1.0
description:
  - Redis and Sentinel write their own configuration files when roles change, so the files are made once.
    This module tells whether that has been done on this host.
  - It asks the cluster who its master is, so that a new or replaced node joins what runs instead of what was planned
    long ago.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
  - halab.stack.redis_cluster
attributes:
  check_mode:
    support: full
    details: Never changes anything. Without the certificates that a real run would have placed, there is no master to
      be found.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
options:
  files:
    description:
      - Configuration files of this host, each with the file of access rules that it must name.
      - One that does not name it is not ours yet; it may be the one of the distribution's package.
    type: list
    elements: dict
    required: true
    suboptions:
      config_file:
        description: Configuration file.
        type: path
        required: true
      acl_file:
        description: File of access rules.
        type: path
        required: true
"""

EXAMPLES = r"""
- name: Look at this node and its cluster
  halab.stack.redis_topology:
    members: "{{ redis_members }}"
    password: "{{ redis_admin_password }}"
    ca_file: /etc/redis/tls/ca.crt
    cert_file: /etc/redis/tls/node.crt
    key_file: /etc/redis/tls/node.key
    files:
      - {config_file: /etc/redis/redis.conf, acl_file: /etc/redis/redis.acl}
      - {config_file: /etc/redis/sentinel.conf, acl_file: /etc/redis/sentinel.acl}
  register: redis_topology
"""

RETURN = r"""
configured:
  description: Whether all configuration files of this host are ours.
  returned: always
  type: bool
unconfigured:
  description: Configuration files that are not there or not ours yet.
  returned: always
  type: list
  elements: str
  sample: [/etc/redis/sentinel.conf]
master:
  description: Address of the current master; empty when no running cluster was found.
  returned: always
  type: str
"""

import contextlib
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.redis_files import acl_password, directives
from ansible_collections.halab.stack.plugins.module_utils.redis_nodes import current_master
from ansible_collections.halab.stack.plugins.module_utils.redis_options import cluster_of, options
from ansible_collections.halab.stack.plugins.module_utils.resp import RespError


def names_rules(config_file: str, acl_file: str) -> bool:
    """Tell whether a configuration file is there and names `acl_file`."""
    try:
        with open(config_file, encoding="utf-8", errors="replace") as stream:
            return directives(stream.read()).get("aclfile") == [acl_file]
    except FileNotFoundError:
        return False


def passwords(params: Mapping[str, Any]) -> list[str]:
    """Return the declared password, and the ones that are still in force when it is about to be replaced."""
    found = [params["password"]]
    for pair in params["files"]:
        with contextlib.suppress(FileNotFoundError), open(pair["acl_file"], encoding="utf-8") as stream:
            found.append(acl_password(stream.read(), params["username"]) or "")
    return [password for password in dict.fromkeys(found) if password]


def observe(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what is there. Raises OSError, and RespError when the certificates cannot be used."""
    master = ""
    for password in passwords(params):
        try:
            master = master or current_master(cluster_of({**params, "password": password}))
        except RespError:
            if not check_mode:
                raise
    unconfigured = [pair["config_file"] for pair in params["files"] if not names_rules(**pair)]
    return {"configured": not unconfigured, "unconfigured": unconfigured, "master": master}


def main() -> None:
    """Run the module."""
    path = {"type": "path", "required": True}
    files = {"type": "list", "elements": "dict", "required": True, "options": {"config_file": path, "acl_file": path}}
    module = AnsibleModule(argument_spec={**options(), "files": files}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **observe(module.params, check_mode=module.check_mode))
    except RespError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
