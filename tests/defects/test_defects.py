"""The suite tested (X4): planted defects are found by the checkers that are there for them; healthy twins are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.defects.conftest import DRILL_WITHIN_S, Defect, defects, drill

pytestmark = [
    pytest.mark.live, pytest.mark.slow, pytest.mark.destructive, pytest.mark.patroni,
    pytest.mark.timeout(DRILL_WITHIN_S + 60),
]  # fmt: skip
each = pytest.mark.parametrize("defect", defects(), ids=lambda defect: defect.name)


@each
@pytest.mark.usefixtures("whole")
def test_it_is_found(defect: Defect, inventory: Path, tmp_path: Path) -> None:
    judged = drill(defect.document(planted=True), f"planted-{defect.name}", inventory, tmp_path)
    found = judged.promises.get(defect.promise, {})
    assert found.get("verdict") == defect.verdict, judged.told()
    assert defect.witness in found["witness"], judged.told()
    assert judged.exit_code != 0


@each
@pytest.mark.usefixtures("whole")
def test_its_healthy_twin_is_not_accused(defect: Defect, inventory: Path, tmp_path: Path) -> None:
    judged = drill(defect.document(planted=False), f"healthy-{defect.name}", inventory, tmp_path)
    assert {name: item["verdict"] for name, item in judged.promises.items()} == dict.fromkeys(
        judged.promises, "VALID"
    ), judged.told()
    assert judged.exit_code == 0
