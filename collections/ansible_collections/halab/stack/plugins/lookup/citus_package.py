# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look up the file on the controller that holds the package of Citus."""

from __future__ import annotations

DOCUMENTATION = r"""
name: citus_package
author: The halab authors
short_description: Find a local package of Citus
description:
  - Returns the path of the Debian package of Citus on the controller, or an empty text when there is none,
    so that it has to come from a repository.
options:
  _terms:
    description: Version of Citus in the name of its package, such as V(14.0).
    required: true
  postgresql_version:
    description: Major version of PostgreSQL that it is built for.
    type: str
    required: true
  package_file:
    description: The package itself. It is an error when it does not exist or is built for other versions.
    type: str
    default: ""
  package_dir:
    description: Folder to look for a matching package in, unless O(package_file) names one.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show where Citus comes from
  ansible.builtin.debug:
    msg: "{{ lookup('halab.stack.citus_package', '14.0', postgresql_version='17', package_dir='~/packages') }}"
"""

RETURN = r"""
_raw:
  description: Path of the package, or an empty text.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.halab.stack.plugins.module_utils.citus_package import CitusPackageError, Wanted, find


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup halab.stack.citus_package."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the path of the package for each version of Citus in `terms`."""
        self.set_options(var_options=variables, direct=kwargs)
        options = {key: self.get_option(key) for key in ("postgresql_version", "package_file", "package_dir")}
        try:
            return [str(find(Wanted(str(version), **options)) or "") for version in terms]
        except CitusPackageError as error:
            raise AnsibleLookupError(str(error)) from error
