#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One member of a Patroni cluster, on its own host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_member
author: The halab authors
short_description: Start or reload the Patroni of this host and wait until it serves
version_added: 0.1.0
description:
  - V(compatible) changes nothing and fails when this host is a member already, but of another name, scope, namespace,
    group or data directory, none of which new files can change.
  - V(started) starts the service where it does not run, and waits until the member leads or streams.
    Of a cluster that does not exist yet, the first of O(members) is started first,
    and the others once it has begun to initialize the cluster.
  - V(reloaded) makes Patroni read its files again and waits until it has done so, a second time when its REST API
    does not show O(cert_file) then. Nothing is restarted, and where the service does not run nothing is done.
  - A host whose Patroni does not run yet is refused when its scope in etcd belongs to another cluster.
    That is one with members that are not declared or are elsewhere, or with another identifier than the data here.
  - Runs on the member's own host.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
    details: Does not wait.
  diff_mode:
    support: none
    details: Changes nothing that could be shown.
  idempotent:
    support: partial
    details: V(reloaded) reloads each time, which is why it belongs into a handler.
options:
  state:
    description: What shall be when the module ends.
    type: str
    choices: [compatible, started, reloaded]
    default: started
  configuration_file:
    description: Patroni's file, from which V(compatible) reads what the host is.
    type: path
    default: /etc/patroni/config.yml
  name:
    description: Name of this member.
    type: str
    required: true
  endpoint:
    description: URL of this member's REST API.
    type: str
    required: true
  username:
    description: User of the REST API for changes; used to wake the member after a reload.
    type: str
    default: patroni
  password:
    description: Password of O(username). V(started) and V(reloaded) need it.
    type: str
  members:
    description: All members of the cluster; the first one initializes it. V(started) needs it.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the member.
        type: str
        required: true
      address:
        description: Its address.
        type: str
        required: true
  scope:
    description: Scope of the cluster. V(compatible) and V(started) need it.
    type: str
  group:
    description: Number of the cluster among those of its scope, with Citus; empty for a cluster without.
    type: str
    default: ""
  namespace:
    description: Namespace of the cluster in etcd.
    type: str
    default: /service/
  etcd_endpoints:
    description: URLs of the etcd members for clients. V(started) needs it.
    type: list
    elements: str
  etcd_username:
    description: User of etcd. V(started) needs it.
    type: str
  etcd_password:
    description: Password of O(etcd_username). V(started) needs it.
    type: str
  data_directory:
    description: Data directory of PostgreSQL. V(compatible) and V(started) need it.
    type: path
  bin_directory:
    description: Directory of PostgreSQL's programs. V(started) needs it.
    type: path
  service:
    description: Name of the systemd service.
    type: str
    default: patroni
  within_s:
    description: Seconds to wait for the member, a base backup included.
    type: float
    default: 180.0
"""

EXAMPLES = r"""
- name: Run this member
  halab.stack.patroni_member:
    name: pg1
    endpoint: https://10.0.0.1:8008
    members:
      - {name: pg1, address: 10.0.0.1}
      - {name: pg2, address: 10.0.0.2}
    scope: main
    etcd_endpoints: ["https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://10.0.0.3:2379"]
    etcd_username: patroni-main
    etcd_password: "{{ patroni_etcd_password }}"
    password: "{{ patroni_rest_password }}"
    data_directory: /srv/data/postgresql/17/main
    bin_directory: /usr/lib/postgresql/17/bin
    ca_file: /etc/patroni/tls/ca.crt
    cert_file: /etc/patroni/tls/node.crt
    key_file: /etc/patroni/tls/node.key
"""

RETURN = r"""
leads:
  description: Whether this member leads; false in check mode when it does not run.
  returned: unless O(state=compatible)
  type: bool
formed:
  description: Whether this member has initialized a new cluster in this run.
  returned: unless O(state=compatible)
  type: bool
running:
  description: Whether the member serves; false only in check mode, or where there was nothing to reload.
  returned: unless O(state=compatible)
  type: bool
timeline:
  description: Timeline of the member, null when it does not run.
  returned: unless O(state=compatible)
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import TLS_ARGUMENTS, PatroniError
from ansible_collections.halab.stack.plugins.module_utils.patroni_member import Member, refuse_another


def main() -> None:
    """Run the module."""
    member_options = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["compatible", "started", "reloaded"], "default": "started"},
            "configuration_file": {"type": "path", "default": "/etc/patroni/config.yml"},
            "name": {"type": "str", "required": True},
            "endpoint": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "dict", "options": member_options},
            "scope": {"type": "str"},
            "group": {"type": "str", "default": ""},
            "namespace": {"type": "str", "default": "/service/"},
            "etcd_endpoints": {"type": "list", "elements": "str"},
            "etcd_username": {"type": "str"},
            "etcd_password": {"type": "str", "no_log": True},
            "data_directory": {"type": "path"},
            "bin_directory": {"type": "path"},
            "service": {"type": "str", "default": "patroni"},
            "within_s": {"type": "float", "default": 180.0},
            "username": {"type": "str", "default": "patroni"},
            "password": {"type": "str", "no_log": True},
            **TLS_ARGUMENTS,
        },
        required_if=[
            ("state", "compatible", ("scope", "data_directory")),
            ("state", "started", ("scope", "data_directory", "bin_directory", "members", "password")),
            ("state", "started", ("etcd_endpoints", "etcd_username", "etcd_password")),
            ("state", "reloaded", ("password",)),
        ],
        supports_check_mode=True,
    )
    try:
        if module.params["state"] == "compatible":
            refuse_another(module.params)
            module.exit_json(changed=False)
        member = Member(module.params, module.run_command, check_mode=module.check_mode)
        result = member.start() if module.params["state"] == "started" else member.reload()
    except PatroniError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
