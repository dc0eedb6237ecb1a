# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter plugin: hosts of a group as the members that roles take as a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def members(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Name and literal address of each host."""
    found = []
    for host in hosts:
        address = hostvars[host].get("ansible_host")
        if not address:
            raise AnsibleFilterError(
                f"ansible_host: {host} has none. Give it a literal address in the inventory; members reach it there."
            )
        found.append({"name": str(host), "address": str(address)})
    return found


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"members": members}
