#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a member of Patroni, in two steps."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_retire
author: The halab authors
short_description: Take the cluster of this host out of Patroni's hands
description:
  - Runs on the host of every member of the cluster that ends, at the same time.
  - V(detached) pauses the cluster, stops Patroni on this host while PostgreSQL goes on,
    and waits until etcd has no key of the cluster any more. Each member removes the keys once nobody leads.
  - V(stopped) then stops PostgreSQL and removes Patroni's file, so that the host is no member any more. Its data stays.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: What was done is returned instead.
  idempotent:
    support: full
options:
  state:
    description: What shall be when the module ends.
    type: str
    choices: [detached, stopped]
    required: true
  endpoint:
    description: URL of this member's REST API.
    type: str
    required: true
  endpoints:
    description: URLs of the REST APIs of all members of the cluster.
    type: list
    elements: str
    required: true
  username:
    description: User of the REST API for changes.
    type: str
    default: patroni
  password:
    description: Password of O(username).
    type: str
    required: true
  scope:
    description: Scope of the cluster.
    type: str
    required: true
  group:
    description: Number of the cluster among those of its scope, with Citus; empty for a cluster without.
    type: str
    default: ""
  namespace:
    description: Namespace of the cluster in etcd.
    type: str
    default: /service/
  etcd_endpoints:
    description: URLs of the etcd members for clients.
    type: list
    elements: str
    required: true
  etcd_username:
    description: User of etcd.
    type: str
    required: true
  etcd_password:
    description: Password of O(etcd_username).
    type: str
    required: true
  data_directory:
    description: Data directory of PostgreSQL.
    type: path
    required: true
  bin_directory:
    description: Directory of PostgreSQL's programs.
    type: path
    required: true
  configuration_file:
    description: Patroni's file.
    type: path
    default: /etc/patroni/config.yml
  system_user:
    description: Operating system user that PostgreSQL runs as.
    type: str
    default: postgres
  service:
    description: Name of the systemd service.
    type: str
    default: patroni
  within_s:
    description: Seconds to wait for Patroni, etcd and PostgreSQL together, the end of the leader's lease included.
    type: float
    default: 120.0
"""

EXAMPLES = r"""
- name: Patroni lets go of the group
  halab.stack.patroni_retire:
    state: detached
    endpoint: https://10.0.0.5:8008
    endpoints: ["https://10.0.0.5:8008", "https://10.0.0.6:8008"]
    password: "{{ patroni_rest_password }}"
    scope: main
    group: "3"
    etcd_endpoints: ["https://10.0.0.1:2379"]
    etcd_username: patroni-main
    etcd_password: "{{ patroni_etcd_password }}"
    data_directory: /srv/data/postgresql/17/main
    bin_directory: /usr/lib/postgresql/17/bin
    ca_file: /etc/patroni/tls/ca.crt
    cert_file: /etc/patroni/tls/node.crt
    key_file: /etc/patroni/tls/node.key
"""

RETURN = r"""
done:
  description: What was done on this host, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [paused, stopped patroni, removed the keys]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import TLS_ARGUMENTS, PatroniError
from ansible_collections.halab.stack.plugins.module_utils.patroni_retire import Retirement


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["detached", "stopped"], "required": True},
            "endpoint": {"type": "str", "required": True},
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "username": {"type": "str", "default": "patroni"},
            "password": {"type": "str", "required": True, "no_log": True},
            "scope": {"type": "str", "required": True},
            "group": {"type": "str", "default": ""},
            "namespace": {"type": "str", "default": "/service/"},
            "etcd_endpoints": {"type": "list", "elements": "str", "required": True},
            "etcd_username": {"type": "str", "required": True},
            "etcd_password": {"type": "str", "required": True, "no_log": True},
            "data_directory": {"type": "path", "required": True},
            "bin_directory": {"type": "path", "required": True},
            "configuration_file": {"type": "path", "default": "/etc/patroni/config.yml"},
            "system_user": {"type": "str", "default": "postgres"},
            "service": {"type": "str", "default": "patroni"},
            "within_s": {"type": "float", "default": 120.0},
            **TLS_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    retirement = Retirement(module.params, module.run_command, check_mode=module.check_mode)
    try:
        done = retirement.detach() if module.params["state"] == "detached" else retirement.stop()
    except PatroniError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
