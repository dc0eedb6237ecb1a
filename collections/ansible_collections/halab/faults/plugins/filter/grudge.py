# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter halab.faults.grudge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.halab.faults.plugins.module_utils.grudge import grudge as draw


def grudge(
    nodes: Sequence[str], kind: str, seed: int = 0, around: str = "", size: int | str | None = None
) -> dict[str, list[str]]:
    """For each node the peers that it must not hear."""
    try:
        wanted = None if size in (None, "") else int(str(size))
        return draw([str(node) for node in nodes], kind, seed=int(seed), around=around, size=wanted)
    except ValueError as error:
        raise AnsibleFilterError(f"grudge: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"grudge": grudge}
