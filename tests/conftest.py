"""What all tests share: the folder is the marker of tests that need a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

LIVE = tuple(Path(__file__).parent / folder for folder in ("faults", "ha", "integration", "lab"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of machines and clusters as live, so that `-m "not live"` is safe anywhere."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in LIVE):
            item.add_marker(pytest.mark.live)
