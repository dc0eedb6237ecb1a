# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter halab.stack.ha_timing."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.halab.stack.plugins.module_utils.timing import resolve


def ha_timing(profile: object, overrides: t.Mapping[str, object] | None = None) -> dict[str, int]:
    """Return the timers of a profile with single values replaced, after proving that they work together."""
    if overrides is not None and not isinstance(overrides, t.Mapping):
        raise AnsibleFilterError(f"ha_timing_overrides = {overrides!r}: give a mapping of timers to whole numbers")
    timing, problems = resolve(profile, overrides)
    if problems or timing is None:
        raise AnsibleFilterError("these timers cannot work together: " + "; ".join(map(str, problems)))
    return timing.as_dict()


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., dict[str, int]]]:
        """Return the filters by name."""
        return {"ha_timing": ha_timing}
