# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter plugin: hosts that run Patroni as the clusters that they form, one for each group of Citus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.halab.stack.plugins.filter.members import members


def patroni_groups(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Number and members of each group, by number; without Citus one group, whose number is empty."""
    names: dict[str, list[str]] = {}
    for host in hosts:
        group = str(hostvars[host].get("patroni_group", ""))
        if group and not group.isdecimal():
            raise AnsibleFilterError(f"patroni_group: {group} of {host} is not a whole number. 0 is the coordinator.")
        names.setdefault(group, []).append(host)
    ordered = sorted(names, key=lambda group: int(group or -1))
    return [{"group": group, "members": members(names[group], hostvars)} for group in ordered]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"patroni_groups": patroni_groups}
