"""The documents list what there is: every scenario and every fault, and nothing else."""

from __future__ import annotations

import re

from halab import scenario
from halab.checkers import Promise
from halab.inventory import repository
from halab.promises import CHECKERS
from halab.scenario import catalogue
from halab.workloads import catalogue as catalogue_of_workloads


def section(document: str, title: str) -> str:
    """The text below one heading of a document."""
    text = (repository() / "docs" / document).read_text("utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[list[str]]:
    """Names set as code in the first cell of each row of the tables in `text`."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ") and "`" in line.split("|")[1]]
    return [re.findall(r"`([^`]+)`", cell) for cell in rows]


def test_every_scenario_has_its_row() -> None:
    rows = [name for names in first_cells(section("scenarios.md", "The scenarios")) for name in names]
    assert sorted(rows) == sorted(scenario.names())


def test_every_promise_has_its_row_and_its_comparisons() -> None:
    text = section("scenarios.md", "Writing one")
    rows = [name for names in first_cells(text) for name in names]
    assert sorted(rows) == sorted(name for name, (promise, _) in CHECKERS.items() if not promise.workload)
    for line in text.splitlines():
        for name in re.findall(r"`([^`]+)`", line.split("|")[1]) if line.startswith("| `") else ():
            promise: Promise = CHECKERS[name][0]
            words = re.sub(r"\(.*\)", "", line.split("|")[2]).replace(",", " ").split()
            assert set(words) == set(promise.words), f"{name}: the document says {words}"


def test_every_workload_has_its_row_with_its_routes_parameters_and_thresholds() -> None:
    text = section("workloads.md", "The workloads")
    assert [name for names in first_cells(text) for name in names] == sorted(catalogue_of_workloads.NAMES)
    for line in text.splitlines():
        if line.startswith("| `"):
            name, _, routes, parameters, promise = (cell.strip(" `") for cell in line.strip("|").split("|"))
            workload = catalogue_of_workloads.workload(name)
            assert routes.split(", ") == list(workload.routes)
            assert [word for word in parameters.split(", ") if word] == list(workload.parameters)
            words = re.findall(r"\((.*)\)", promise)
            assert set(words[0].split(", ") if words else ()) == set(CHECKERS[name][0].words)


def test_every_fault_is_in_the_table_or_in_the_sentence_below_it() -> None:
    """A fault without a module of its own has no row; the sentence below the table says whose defaults it has."""
    text = section("faults.md", "Table")
    rows = {names[0] for names in first_cells(text)}
    below = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    assert rows | set(re.findall(r"`([^`]+)`", below)) == set(catalogue.names())
