# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look up secrets of this cluster, making those that do not exist yet."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
author: The halab authors
short_description: Read a secret of the cluster, generating it the first time
version_added: 0.1.0
description:
  - Reads a secret from V(secrets.yml) in the directory named by the variable C(halab_state_dir).
  - A secret that is not there is generated from letters and digits and kept,
    so that every host and every later run gets the same value.
  - In check mode nothing is kept; a secret that is not there yet is then a random value of this one look.
options:
  _terms:
    description: Names of the secrets; by convention the name of the variable that holds it.
    required: true
  length:
    description: Letters and digits of a secret that has to be generated, 16 or more.
    type: int
    default: 32
notes:
  - To choose a secret yourself, set the variable that holds it, from a vault for example.
    The lookup is then not evaluated.
"""

EXAMPLES = r"""
- name: Use the same password everywhere
  ansible.builtin.set_fact:
    etcd_root_password: "{{ lookup('halab.stack.secret', 'etcd_root_password') }}"

- name: Use a longer one
  ansible.builtin.set_fact:
    patroni_rest_password: "{{ lookup('halab.stack.secret', 'patroni_rest_password', length=64) }}"
"""

RETURN = r"""
_raw:
  description: The secrets, in the order of the names.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.halab.stack.plugins.module_utils.secrets import (
    SecretError,
    SecretStore,
    generate,
)


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup halab.stack.secret."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the secrets named by `terms`."""
        self.set_options(var_options=variables, direct=kwargs)
        known = variables or {}
        directory = self._templar.template(known.get("halab_state_dir"))
        if not directory:
            raise AnsibleLookupError("halab_state_dir is not set; name a private directory in the inventory")
        store = SecretStore(Path(directory).expanduser())
        length: int = self.get_option("length")
        try:
            if known.get("ansible_check_mode"):
                return [store.get(name) or generate(length) for name in terms]
            return [store.ensure(name, length=length) for name in terms]
        except SecretError as error:
            raise AnsibleLookupError(str(error)) from error
