# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters halab.faults.peers and halab.faults.ports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.halab.faults.plugins.module_utils import peers as words


def peers(wanted: str | Iterable[str], groups: Mapping[str, Sequence[str]], of: str) -> list[str]:
    """Hosts that are meant by words such as others."""
    try:
        return words.peers(wanted, groups, of=of)
    except ValueError as error:
        raise AnsibleFilterError(f"{error} Nothing was changed.") from error


def ports(wanted: str | int | Iterable[str | int], named: Mapping[str, Iterable[int | str]]) -> list[int]:
    """Ports that are meant by numbers and names."""
    try:
        return words.ports(wanted, named)
    except ValueError as error:
        raise AnsibleFilterError(f"{error} Nothing was changed.") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"peers": peers, "ports": ports}
