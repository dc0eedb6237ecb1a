#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a setting is changed for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config
short_description: Change a setting for a while
version_added: 0.1.0
author: The halab authors
description:
  - Changes a file of the machine, or the dynamic configuration of a Patroni cluster, and restores exactly what was.
  - Plants defects, such as a balancer that keeps sessions of a former leader, or a cluster without synchronous mode.
  - What somebody else changed meanwhile is never overwritten. A file that is no longer what the fault wrote stays as it
    is, and so does its ledger entry, until it is put right. A setting of Patroni that has another value stays, and
    that is told in the evidence.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description: V(file) on the machine that runs the module, or V(patroni), on any machine that reaches the REST APIs.
    type: str
    choices: [file, patroni]
    default: file
  path:
    description: The file, absolute. Its owner, mode and times are restored with it. For O(kind=file).
    type: path
  content:
    description: The whole content for O(path), which need not be there.
    type: str
  append:
    description: Text to add at the end of O(path), as lines of its own.
    type: str
  regexp:
    description: Regular expression. All that it matches in O(path) becomes O(replace). V(^) and V($) match at lines.
    type: str
  replace:
    description: Text instead of what O(regexp) matches, with V(\1) for its groups. Nothing when not given.
    type: str
  apply:
    description: Command, as a list, that puts O(path) into effect. Run after the change and after the restoration.
    type: list
    elements: str
    default: []
  settings:
    description: Configuration in the form of Patroni's C(PATCH /config). A null removes a key. For O(kind=patroni).
    type: dict
    default: {}
  endpoints:
    description: URLs of the members' REST APIs.
    type: list
    elements: str
    default: []
  username:
    description: User of the REST APIs for changes.
    type: str
    default: patroni
  password:
    description:
      - Password of O(username).
      - Kept beside the ledger entry while the fault acts, in a file that only its owner can read.
    type: str
    default: ''
  ca_file:
    description: Certificates that the members are trusted by.
    type: path
  cert_file:
    description: Client certificate for the members.
    type: path
  key_file:
    description: Key of O(cert_file).
    type: path
  check_command:
    description: Command, as a list, that exits 0 while the change is in effect, and otherwise not.
    type: list
    elements: str
    default: []
  observed_within:
    description: Seconds within which the change must be seen, by every member that answers, and by O(check_command).
    type: int
    default: 30
  gone_within:
    description: Seconds within which it must not be seen any more after the restoration.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: The balancer keeps sessions to a server that is down
  halab.faults.config:
    id: drill-1
    ttl: 300
    path: /etc/haproxy/haproxy.cfg
    regexp: ' on-marked-down shutdown-sessions'
    apply: [systemctl, reload, haproxy]

- name: Replicas may lag
  halab.faults.config:
    id: drill-2
    ttl: 300
    kind: patroni
    settings:
      synchronous_mode: false
    endpoints: ["https://10.0.0.1:8008", "https://10.0.0.2:8008", "https://10.0.0.3:8008"]
    password: "{{ patroni_rest_password }}"
    ca_file: "{{ halab_state_dir }}/certs/ca.crt"
    cert_file: "{{ halab_state_dir }}/certs/client.crt"
    key_file: "{{ halab_state_dir }}/certs/client.key"
    ledger_dir: "{{ halab_state_dir }}/ledger"
  delegate_to: localhost

- name: The balancer is as it was
  halab.faults.config:
    id: drill-1
    state: healed
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(config)., type: str, returned: when the fault is or was known}
target: {description: What is changed., type: str, returned: when the fault is or was known}
active: {description: Whether the fault acts now., type: bool, returned: always}
commands:
  description: Commands that were run, or would be in check mode.
  type: list
  elements: list
  returned: when there are any
evidence:
  description: What the last observations saw, in words.
  type: list
  elements: str
  returned: when there are any
planned_at:
  description: The instant before the first command, a dictionary of C(monotonic_ns), C(boot_id) and C(wall).
  type: dict
  returned: when injected now
injected_at: {description: The instant after the last command., type: dict, returned: when injected now}
observed_at: {description: The instant at which the effect had been verified., type: dict, returned: when injected now}
expires_at: {description: When the machine heals the fault by itself., type: dict, returned: when injected}
healed_at: {description: When the heal had been carried out., type: dict, returned: when it is known to be healed}
gone_at:
  description: When the absence of the effect had been verified.
  type: dict
  returned: when it is known to be healed
healed_by: {description: Who healed it., type: str, returned: when it is known to be healed}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.config_plan import plan_of
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act


def main() -> None:
    words: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "kind": {"type": "str", "choices": ["file", "patroni"], "default": "file"},
            "path": {"type": "path"},
            "content": {"type": "str"},
            "append": {"type": "str"},
            "regexp": {"type": "str"},
            "replace": {"type": "str"},
            "apply": words,
            "settings": {"type": "dict", "default": {}},
            "endpoints": words,
            "username": {"type": "str", "default": "patroni"},
            "password": {"type": "str", "default": "", "no_log": True},
            "ca_file": {"type": "path"},
            "cert_file": {"type": "path"},
            "key_file": {"type": "path", "no_log": False},
            "check_command": words,
            "observed_within": {"type": "int", "default": 30},
            "gone_within": {"type": "int", "default": 30},
        },
        required_if=[("state", "injected", ["ttl"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
