"""What all tests share: the folder is the marker of tests that need a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

LIVE = tuple(
    Path(__file__).parent / folder
    for folder in ("day2", "faults", "foreign", "ha", "integration", "lab", "molecule", "vm")
)
CONSENT = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of machines and clusters as live, so that `-m "not live"` is safe anywhere."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in LIVE):
            item.add_marker(pytest.mark.live)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what would break the cluster of --inventory where nobody allowed that: a drill's own consent, asked once."""
    inventory = item.config.getoption("--inventory")
    if inventory and item.get_closest_marker("destructive") and "foreign" not in item.path.parts:
        stash = item.config.stash
        if CONSENT not in stash:
            stash[CONSENT] = _refusal(inventory)
        if stash[CONSENT]:
            pytest.skip(stash[CONSENT])


def _refusal(inventory: str) -> str:
    from halab.driver import consent, site
    from halab.errors import InputError

    try:
        where = site.open_site(inventory)
        consent.check(where.cluster, where.ownership, "")
    except InputError as error:
        return str(error)
    return ""
