#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""All certificates of a cluster in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificates
author: The halab authors
short_description: Issue and renew the certificates of a cluster
version_added: 0.1.0
description:
  - Keeps the authority, a client certificate and a certificate of every host in a private directory of the controller.
  - A certificate is issued anew when it is missing, does not match its key or its authority, is about to expire,
    or certifies other names.
  - An authority made by this module is renewed with the same key, so certificates of hosts stay valid while it spreads.
  - Certificates of hosts and client have no common name, because etcd's JSON gateway refuses clients that have one.
  - "Files are C(ca.crt), C(ca.key), C(client.crt), C(client.key), C(nodes/NAME.crt) and C(nodes/NAME.key)."
extends_documentation_fragment:
  - halab.stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows which certificates are issued and why, never a key.
  idempotent:
    support: full
requirements:
  - cryptography >= 42 on the controller
options:
  directory:
    description: Where the certificates are kept. It is made with mode C(0700) when it is missing.
    type: path
    required: true
  hosts:
    description: Hosts that need a certificate.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the host; also a DNS name of its certificate and the name of its files.
        type: str
        required: true
      address:
        description: Address at which others reach the host, an IP address or a DNS name.
        type: str
        required: true
      names:
        description: More DNS names.
        type: list
        elements: str
        default: []
      addresses:
        description: More IP addresses, a virtual address for example.
        type: list
        elements: str
        default: []
  client_name:
    description: Organizational unit in the client certificate. No component derives rights from it.
    type: str
    default: client
  authority_name:
    description: Common name of an authority that has to be made.
    type: str
    default: halab authority
  authority_cert:
    description: Certificate of an authority of yours, in PEM. More certificates may follow it up to its root.
    type: path
  authority_key:
    description: Key of O(authority_cert), in PEM.
    type: path
  authority_passphrase:
    description: Passphrase of O(authority_key).
    type: str
  validity_days:
    description: Days for which the certificates of hosts and client are valid.
    type: int
    default: 825
  authority_validity_days:
    description: Days for which an authority that has to be made is valid.
    type: int
    default: 3650
  renew_before_days:
    description: A certificate is renewed when fewer days than this are left.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Issue the certificates of three hosts that share a virtual address
  halab.stack.certificates:
    directory: "{{ halab_state_dir }}/certs"
    hosts:
      - {name: pg1, address: 10.0.0.1, addresses: [10.0.0.100]}
      - {name: pg2, address: 10.0.0.2, addresses: [10.0.0.100]}
      - {name: pg3, address: 10.0.0.3, addresses: [10.0.0.100]}
  delegate_to: localhost
  run_once: true

- name: Issue them from an authority of your own
  halab.stack.certificates:
    directory: "{{ halab_state_dir }}/certs"
    authority_cert: /etc/company/issuing.crt
    authority_key: /etc/company/issuing.key
    hosts:
      - {name: pg1, address: pg1.example.org}
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
issued:
  description: Certificates that were issued, or would be in check mode, and why.
  returned: always
  type: list
  elements: dict
  sample: [{name: nodes/pg1, reason: it expires at 2026-11-21 10:15 UTC}]
expires:
  description: For each certificate the moment it expires at, in UTC.
  returned: always
  type: dict
  sample: {ca: "2036-11-19T10:15:00Z", client: "2029-02-24T10:15:00Z", nodes/pg1: "2029-02-24T10:15:00Z"}
"""

import datetime as dt
import re
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from ansible_collections.halab.stack.plugins.module_utils import certificates, pki
except ImportError:
    MISSING: str | None = traceback.format_exc()
else:
    MISSING = None

HOST = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "default": []},
    "addresses": {"type": "list", "elements": "str", "default": []},
}

ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "hosts": {"type": "list", "elements": "dict", "required": True, "options": HOST},
    "client_name": {"type": "str", "default": "client"},
    "authority_name": {"type": "str", "default": "halab authority"},
    "authority_cert": {"type": "path"},
    "authority_key": {"type": "path"},
    "authority_passphrase": {"type": "str", "no_log": True},
    "validity_days": {"type": "int", "default": 825},
    "authority_validity_days": {"type": "int", "default": 3650},
    "renew_before_days": {"type": "int", "default": 30},
}


def refusal(params: dict[str, Any]) -> str | None:
    """Return why the parameters cannot be used, None when they can."""
    for key in ("validity_days", "authority_validity_days"):
        if params[key] <= params["renew_before_days"]:
            return f"{key} is {params[key]}: it must be more than renew_before_days, {params['renew_before_days']}"
    names = [host["name"] for host in params["hosts"]]
    for name, count in Counter(names).items():
        if count > 1:
            return f"hosts: {name} is there {count} times; every host needs a name of its own"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            return f"hosts: {name!r} is no host name; use letters, digits, dots, hyphens and underscores"
    return None


def difference(issues: Sequence[certificates.Issue]) -> dict[str, str]:
    """Return what is issued and why, in Ansible's form."""
    return {"before": "", "after": "".join(f"{issue.name}: issued, {issue.reason}\n" for issue in issues)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_together=[("authority_cert", "authority_key")],
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(msg=missing_required_lib("cryptography"), exception=MISSING)
    refused = refusal(module.params)
    if refused:
        module.fail_json(msg=refused)
    keeper = certificates.Keeper.of(module.params, now=dt.datetime.now(dt.UTC))
    try:
        issues, kept = keeper.plan() if module.check_mode else keeper.keep()
    except (pki.PkiError, OSError) as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {
        "changed": bool(issues),
        "issued": [{"name": issue.name, "reason": issue.reason} for issue in issues],
        "expires": {name: f"{one.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}" for name, one in kept.items()},
    }
    if module._diff and issues:
        result["diff"] = difference(issues)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
