"""A series of drills as a table, as JUnit and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from halab.report import files
from halab.report.junit import clean

REFUSED = "REFUSED"
FAILED = "FAILED"
_TAGS = {"INVALID": "failure", "UNKNOWN": "error", FAILED: "error", REFUSED: "skipped"}


@dataclass(frozen=True, slots=True)
class Row:
    """One drill. `verdict` is VALID, INVALID or UNKNOWN of one that was run.

    Of one that was not, it is REFUSED (host or inventory cannot do it) or FAILED (something went wrong on the way to
    it); `why` says what. `outage_s` and `lost` are None where nothing measured them; `seconds` is what the drill took
    in all.
    """

    scenario: str
    verdict: str
    seconds: float
    outage_s: float | None = None
    lost: float | None = None
    why: str = ""
    run: str = ""


def table(rows: Sequence[Row]) -> str:
    """Lines for a terminal or a log: a row each, why it is not green below, a count at the end."""
    cells = [("SCENARIO", "VERDICT", "OUTAGE", "LOST", "TOOK")]
    cells += [
        (
            row.scenario,
            row.verdict,
            "" if row.outage_s is None else f"{row.outage_s:.1f} s",
            "" if row.lost is None else f"{row.lost:g}",
            f"{row.seconds:.0f} s",
        )
        for row in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    lines = []
    for number, row in enumerate(cells):
        left = "  ".join(map(str.ljust, row[:2], widths[:2]))
        right = "  ".join(map(str.rjust, row[2:], widths[2:]))
        lines.append(f"{left}  {right}".rstrip())
        if number and rows[number - 1].why:
            lines.append(f"    {' '.join(rows[number - 1].why.split())}")
    return "\n".join([*lines, tally(rows)])


def tally(rows: Sequence[Row]) -> str:
    """How many of each verdict."""
    counts = {row.verdict: sum(other.verdict == row.verdict for other in rows) for row in rows}
    words = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    noun = "drill" if len(rows) == 1 else "drills"
    return f"{len(rows)} {noun}: {words or 'none'}, {sum(row.seconds for row in rows):.0f} s"


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Write drills.json, junit.xml and summary.txt into `folder`. Raises OSError."""
    suite = ET.Element(
        "testsuite",
        name="halab.drills",
        tests=str(len(rows)),
        failures=_count(rows, "failure"),
        errors=_count(rows, "error"),
        skipped=_count(rows, "skipped"),
        time=f"{sum(row.seconds for row in rows):.3f}",
    )
    suite.extend(_case(row) for row in rows)
    root = ET.Element("testsuites", name="halab")
    root.append(suite)
    ET.indent(root)
    files.replace(folder / "junit.xml", ET.tostring(root, encoding="utf-8", xml_declaration=True))
    files.replace(folder / "drills.json", (json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())
    files.replace(folder / "summary.txt", (table(rows) + "\n").encode())


def _case(row: Row) -> ET.Element:
    case = ET.Element("testcase", classname="halab.drills", name=row.scenario, time=f"{row.seconds:.3f}")
    tag = _TAGS.get(row.verdict)
    if tag is not None:
        ET.SubElement(case, tag, message=clean(f"{row.verdict}: {row.why}")).text = clean(row.run)
    measured = {"rto_s": row.outage_s, "rpo_writes": row.lost}
    known = {name: value for name, value in measured.items() if value is not None}
    if known:
        properties = ET.SubElement(case, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", name=name, value=f"{value:g}")
    return case


def _count(rows: Sequence[Row], tag: str) -> str:
    return str(sum(_TAGS.get(row.verdict) == tag for row in rows))
