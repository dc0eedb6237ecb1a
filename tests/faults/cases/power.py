"""Faults of power and limits from outside, which the controller carries out by the lab's switch."""

from __future__ import annotations

from tests.faults.cases import Case


def _power(name: str, kind: str, state: str, *hooks: str) -> Case:
    commands = {f"{hook}_command": ["@power@", hook, "m1"] for hook in (*hooks, "state")}
    parameters = {"kind": kind, "host": "m1", "address": "@m1@", **commands}
    return Case(
        name=name,
        module="power",
        parameters=parameters,
        acting=f'[ "$(@power@ state m1)" = {state} ]',
        where="controller",
    )


CASES = [
    _power("power-freeze", "freeze", "frozen", "freeze", "thaw"),
    _power("power-off", "off", "off", "off", "on"),
    _power("power-loss", "loss", "off", "lose", "on"),
    Case(
        name="limits-cpu",
        module="limits",
        parameters={"host": "m1", "command": ["@power@", "limit", "m1"], "cpu": 30},
        acting="@power@ limit m1 get | grep -qx cpu=30",
        where="controller",
    ),
]
