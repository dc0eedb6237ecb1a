# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lookup plugin: fingerprint of everything that decides what a node image holds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: install_digest
short_description: Fingerprint of the install steps of roles
version_added: 0.1.0
author: The halab authors
description:
  - Twelve hexadecimal digits over the files that decide what the install steps of the given roles do,
    and over any further text.
  - An image that carries the digest in its tag is rebuilt exactly when one of its inputs changed.
options:
  _terms:
    description: Roles by their full name.
    type: list
    elements: str
    required: true
  extra:
    description: Further inputs, such as the packages of the base system.
    type: raw
    default: ""
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ lookup('halab.lab.install_digest', 'halab.stack.node', 'halab.stack.etcd', extra={'suite': 'trixie'}) }}"
"""

RETURN = r"""
_raw:
  description: The digest.
  type: list
  elements: str
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

# What an install step can read: its own tasks, the defaults it takes, and the files it copies.
PATTERNS = ("tasks/install*.yml", "templates/install*", "defaults/main.yml", "vars/*.yml", "files/**/*")


class LookupModule(LookupBase):
    """Hashes files of roles of collections that stand beside this one."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        digest = hashlib.sha256(json.dumps(self.get_option("extra"), sort_keys=True, default=str).encode())
        collections = Path(__file__).resolve().parents[4]
        for role in terms:
            namespace, collection, name = role.split(".")
            folder = collections / namespace / collection / "roles" / name
            if not folder.is_dir():
                raise AnsibleLookupError(
                    f"install_digest: no role {role} at {folder}. Name roles as namespace.collection.role."
                )
            files = {file for pattern in PATTERNS for file in folder.glob(pattern) if file.is_file()}
            for path in sorted(files):
                digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
        return [digest.hexdigest()[:12]]
