"""junit.xml for continuous integration: one test case per promise, the measured values as properties.

A broken promise is a failure and one that was not proven an error, so no reader of JUnit takes UNKNOWN for a pass.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from halab.report import files, wording
from halab.report import folder as run_folder
from halab.report.folder import Promise, RunFolder

# Characters that XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROPERTIES = {"write_outage": "rto_s", "lost_writes": "rpo_writes"}


def write(run_dir: Path) -> Path:
    """Write `junit.xml` into a run folder and return its path.

    Raises FileNotFoundError when there is no such folder, OSError when it cannot be written.
    """
    folder = run_folder.load(run_dir)
    cases = [_case(folder, promise) for promise in folder.promises] or [_not_judged(folder)]
    suite = ET.Element(
        "testsuite",
        name=f"halab.{folder.scenario}",
        tests=str(len(cases)),
        failures=str(_count(cases, "failure")),
        errors=str(_count(cases, "error")),
        skipped="0",
        time=f"{folder.seconds or 0:.3f}",
        timestamp=folder.started.strftime("%Y-%m-%dT%H:%M:%S") if folder.started else "",
        hostname=folder.cluster or "unknown",
    )
    suite.append(_properties(folder))
    suite.extend(cases)
    root = ET.Element("testsuites", name="halab")
    root.append(suite)
    ET.indent(root)
    return files.replace(run_dir / "junit.xml", ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _case(folder: RunFolder, promise: Promise) -> ET.Element:
    case = ET.Element("testcase", classname=f"halab.{folder.scenario}", name=promise.name, time="0")
    measured = wording.quantity(promise.measured, promise.unit)
    summary = f"{promise.title}: measured {measured}, promised {wording.requirement(promise)}".replace("\u00a0", " ")
    tag = {"INVALID": "failure", "UNKNOWN": "error"}.get(promise.verdict)
    if tag is None:
        ET.SubElement(case, "system-out").text = clean(f"{summary}. {promise.witness}")
    else:
        kind = wording.VERDICT_WORDS[promise.verdict]
        found = ET.SubElement(case, tag, message=clean(promise.witness or summary), type=kind)
        found.text = clean(f"{summary}. {promise.witness}")
    return case


def _not_judged(folder: RunFolder) -> ET.Element:
    """A run without verdicts must not look like a suite in which nothing failed."""
    case = ET.Element("testcase", classname=f"halab.{folder.scenario}", name="judged", time="0")
    reason = " ".join(folder.notes) or "the run holds no judged promise"
    ET.SubElement(case, "error", message=clean(reason), type="not proven").text = clean(reason)
    return case


def _properties(folder: RunFolder) -> ET.Element:
    found: dict[str, object] = {"run": folder.run, "status": folder.status}
    found |= {key: folder.meta.get(key) for key in ("inventory", "command", "halab_version")}
    for promise in folder.promises:
        if promise.measured is not None:
            found[_PROPERTIES.get(promise.name, promise.name)] = promise.measured
    element = ET.Element("properties")
    for name, value in found.items():
        if value is not None:
            ET.SubElement(element, "property", name=name, value=clean(str(value)))
    return element


def _count(cases: list[ET.Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)


def clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
