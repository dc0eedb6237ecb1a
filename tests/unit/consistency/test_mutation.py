"""The mutation of the checkers tells lines that are needed from changes that make no difference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mutation.__main__ import main
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.survey import duration, survivors
from tests.mutation.targets import Target, equivalents, targets
from tests.mutation.trial import ROOT, copy_of_the_tree, full_name, path_of_tests, preload, source_of

SAMPLE = '''
"""Words with a 1 in them."""
Alias = 1 + 1

def decide(one: int, many: list[int], *, strictly: bool = True) -> bool:
    total = sum(zip(many, many, strict=True)) - 1 + 1
    if one < total and not strictly:
        many.append(one)
    while strictly:
        continue
    return f"{one + 1}" in many
'''
ZONES = Target("register", "zones", ("test_zones",))
JUDGE = Target("append", "append.judge", ("test_append",))
"""What its package imports before any test does."""


def changed(source: Path, old: str, new: str) -> Mutant:
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    return Mutant(1, "", old, f"{old} -> {new}", compile(text.replace(old, new), str(source), "exec"))


def test_a_deciding_line_is_broken_in_all_its_ways(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE, encoding="utf-8")
    assert [(mutant.line, mutant.what) for mutant in mutants(path)] == [
        (5, "True -> False"),
        (6, "sum(zip(many, many, strict=True)) - 1 + 1 -> sum(zip(many, many, strict=True)) - 1 - 1"),
        (6, "sum(zip(many, many, strict=True)) - 1 -> sum(zip(many, many, strict=True)) + 1"),
        (6, "1 -> 2"),
        (6, "1 -> 2 (#2)"),
        (7, "one < total and (not strictly) -> not (one < total and (not strictly))"),
        (7, "one < total and (not strictly) -> one < total or not strictly"),
        (7, "one < total and (not strictly) -> not strictly"),
        (7, "one < total and (not strictly) -> one < total"),
        (7, "one < total -> one <= total"),
        (7, "one < total -> one > total"),
        (7, "not strictly -> strictly"),
        (8, "many.append(one) -> pass"),
        (9, "strictly -> not strictly"),
        (10, "continue -> pass"),
        (11, "return f'{one + 1}' in many -> return True"),
        (11, "return f'{one + 1}' in many -> return False"),
        (11, "f'{one + 1}' in many -> f'{one + 1}' not in many"),
    ]


def test_needed_lines_are_told_from_equivalent_changes_and_the_tree_stays_as_it_is() -> None:
    """In a process of its own: a session that has run many other tests is not what mutants are forked from."""
    code = "from tests.unit.consistency.test_mutation import needed_and_equivalent; needed_and_equivalent()"
    path = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def needed_and_equivalent() -> None:
    files = [source_of(ROOT, "zones"), ROOT / path_of_tests("zones", "test_zones")]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    preload()
    with copy_of_the_tree() as root:
        source = source_of(root, "zones")
        noticed = [
            changed(source, "forward = first_end < last_start", "forward = first_end <= last_start"),
            changed(source, "invoke[d] and complete[c]", "invoke[d] or complete[c]"),
            changed(source, "import numpy as np", "import numpy as np, no_such_module"),
        ]
        same = changed(source, "if len(inside):", "if len(inside) > 0:")
        assert list(survivors(root, ZONES, [*noticed, same], limit_s=60, jobs=2)) == [same]
        lenient = changed(source_of(root, "append.judge"), "if anomalies:", "if not anomalies:")
        assert list(survivors(root, JUDGE, [lenient], limit_s=60)) == []
        endless = changed(source, "    forward =", "    while True: pass\n    forward =")
        assert list(survivors(root, ZONES, [endless], limit_s=1)) == []
        source.write_text("raise RuntimeError\n", encoding="utf-8")
        with pytest.raises(ValueError, match="test_zones do not pass on zones as it is"):
            duration(root, ZONES)
    assert not root.exists()
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_a_mutant_is_known_by_its_function_its_line_and_the_change(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text("def one():\n    f()\n    f()\n\ndef other():\n    f()\n", encoding="utf-8")
    assert [(mutant.function, mutant.text, mutant.what) for mutant in mutants(path)] == [
        ("one", "f()", "f() -> pass"),
        ("one", "f()", "f() -> pass (#2)"),
        ("other", "f()", "f() -> pass"),
    ]


def test_modules_are_of_the_theory_or_of_the_promises() -> None:
    assert full_name("append.judge") == "halab.consistency.append.judge"
    assert path_of_tests("append.judge", "test_append") == Path("tests/unit/consistency/test_append.py")
    assert full_name("halab.checkers.lag") == "halab.checkers.lag"
    assert path_of_tests("halab.checkers.lag", "checkers/test_lag") == Path("tests/unit/checkers/test_lag.py")


def test_the_data_files_name_what_there_is() -> None:
    known = set()
    for target in targets():
        assert all((ROOT / path_of_tests(target.module, name)).is_file() for name in target.tests)
        known |= {
            (target.module, each.function, each.text, each.what) for each in mutants(source_of(ROOT, target.module))
        }
    for entry in equivalents():
        assert (entry.module, entry.function, entry.line, entry.what) in known
        assert entry.reason


def test_a_checker_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"no such checker: uniq; expected some of rowset, register"):
        main(["uniq"])


def test_a_checker_is_chosen_with_all_its_modules_and_a_module_alone() -> None:
    assert [target.module for target in targets(("primaries",))] == ["primaries", "reigns"]
    assert targets(("reigns",)) == [Target("primaries", "reigns", ("test_primaries",))]
