"""A finding on an imported history, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Anomaly, Finding
from halab.consistency.operation import seconds
from halab.imports.history import Entry, History
from halab.imports.model import Model
from halab.imports.values import same, shown

OUTCOMES: Final = {OK: "ok", FAIL: "fail", INFO: "unknown"}
_FEW: Final = 3
"""Anomalies that are shown to people; machines get all that were explained."""


def told(entry: Entry, deed: str = "") -> str:
    """An operation inside of a sentence, with its `deed`."""
    return f"operation {entry.op} ({_lines(entry)}{': ' if deed else ''}{deed})"


def text(history: History, model: Model, level: str, finding: Finding) -> str:
    """The verdict, what was judged, and the witness."""
    return "\n".join(_text(history, model, level, finding))


def _text(history: History, model: Model, level: str, finding: Finding) -> Iterator[str]:
    yield f"{finding.status}  {model.name}{f', {level}' if level else ''}  {history.source}"
    yield finding.words
    yield ""
    for name, value in _judged(history).items():
        yield f"  {name:<10}  {value}"
    begin = min((entry.invoke for entry in history.entries), default=0)
    for number, anomaly in enumerate(finding.anomalies[:_FEW]):
        yield ""
        yield f"{anomaly.name}" if not number else f"{anomaly.name}: {anomaly.words}"
        for op in dict.fromkeys(anomaly.operations):
            yield f"  {_described(history.entries[op], begin if history.timed else None)}"
    if len(finding.anomalies) > _FEW:
        yield ""
        yield f"{len(finding.anomalies) - _FEW} more: --json writes them."


def _judged(history: History) -> dict[str, str]:
    entries = history.entries
    outcomes = Counter(entry.outcome for entry in entries)
    keys = {entry.key for entry in entries}
    counted = ", ".join(f"{outcomes[outcome]} {name}" for outcome, name in OUTCOMES.items())
    incomplete = f", {history.open} of them without completion" if history.open else ""
    judged = {
        "operations": f"{len(entries)}: {counted}{incomplete}",
        "processes": str(len({entry.process for entry in entries})),
        "keys": "one object, no keys" if keys <= {None} else str(len(keys)),
        "order": f"by {history.order}" + ("" if history.timed else "; there are no times, so that ns count lines"),
    }
    if history.timed and entries:
        judged["span"] = seconds(_span(history))
    if history.skipped:
        most = ", ".join(f"{count} of {process}" for process, count in history.skipped.most_common(_FEW))
        judged["skipped"] = f"{sum(history.skipped.values())} events of processes that are no clients: {most}"
    return judged


def _span(history: History) -> int:
    last = max(entry.invoke if entry.outcome == INFO else entry.complete for entry in history.entries)
    return last - min(entry.invoke for entry in history.entries)


def _lines(entry: Entry) -> str:
    if not entry.end_line:
        return f"line {entry.line}, no completion"
    return f"line {entry.line}" if entry.line == entry.end_line else f"lines {entry.line} and {entry.end_line}"


def _described(entry: Entry, begin: int | None) -> str:
    """The operation; its times count from `begin`, None where there are none."""
    parts = [f"operation {entry.op}: process {entry.process}", _action(entry), OUTCOMES[entry.outcome]]
    if begin is not None:
        ended = "" if entry.outcome == INFO else f" to {seconds(entry.complete - begin)}"
        parts.append(f"{seconds(entry.invoke - begin)}{ended}")
    parts.append(_lines(entry))
    parts += [f"{name} {shown(value)}" for name, value in (entry.facts or {}).items()]
    return ", ".join(parts)


def _action(entry: Entry) -> str:
    return deed(entry, "" if entry.key is None else f" key {shown(entry.key)}")


def deed(entry: Entry, key: str = "") -> str:
    """What was asked and answered; `key` where it is to be named."""
    asked = "" if entry.asked is None else f" {shown(entry.asked)}"
    answered = entry.answered if entry.outcome == OK and not same(entry.answered, entry.asked) else None
    silent = entry.outcome != OK or (answered is None and entry.asked is not None)
    return f"{entry.f}{key}{asked}{'' if silent else f' -> {shown(answered)}'}"


def document(history: History, model: Model, level: str, finding: Finding) -> dict[str, Any]:
    """The same for machines, with every operation that a witness names."""
    named = dict.fromkeys(op for anomaly in finding.anomalies for op in anomaly.operations)
    entries = history.entries
    return {
        "source": history.source,
        "model": model.name,
        "isolation": level or None,
        "status": finding.status.value,
        "exit_code": finding.status.exit_code,
        "words": finding.words,
        "judged": finding.judged,
        "operations": len(entries),
        "outcomes": {name: sum(entry.outcome == outcome for entry in entries) for outcome, name in OUTCOMES.items()},
        "without_completion": history.open,
        "processes": len({entry.process for entry in entries}),
        "keys": len({entry.key for entry in entries}),
        "order": history.order.name.lower(),
        "span_ns": _span(history) if history.timed and entries else None,
        "skipped": dict(history.skipped),
        "anomalies": [_anomaly(anomaly) for anomaly in finding.anomalies],
        "witnesses": {str(op): _witness(entries[op], history) for op in named},
        "details": dict(finding.details),
    }


def _anomaly(anomaly: Anomaly) -> dict[str, Any]:
    return {"name": anomaly.name, "words": anomaly.words, "operations": list(anomaly.operations)}


def _witness(entry: Entry, history: History) -> dict[str, Any]:
    return {
        "process": entry.process,
        "f": entry.f,
        "key": entry.key,
        "asked": entry.asked,
        "answered": entry.answered if entry.outcome == OK else None,
        "outcome": OUTCOMES[entry.outcome],
        "invoke_ns": entry.invoke if history.timed else None,
        "complete_ns": entry.complete if history.timed and entry.outcome != INFO else None,
        "line": entry.line,
        "end_line": entry.end_line or None,
        **({"facts": dict(entry.facts)} if entry.facts else {}),
    }
