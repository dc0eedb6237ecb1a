# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of every module that speaks with the members of a Patroni cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the members are, and who may change something there."""

    DOCUMENTATION = r"""
options:
  endpoints:
    description: URLs of the members' REST APIs.
    type: list
    elements: str
    required: true
"""

    # Asked for as `halab.stack.patroni_rest.login`: whoever only looks needs no user.
    LOGIN = r"""
options:
  username:
    description: User of the REST APIs for changes.
    type: str
    default: patroni
  password:
    description: Password of O(username).
    type: str
    required: true
"""
