"""What a machine looks like to whoever asks whether a fault left anything behind."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sections of lines; equal when every line is."""

    sections: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, sections: Mapping[str, list[str]]) -> Snapshot:
        return cls({name: tuple(lines) for name, lines in sections.items()})

    def difference(self, later: Snapshot) -> str:
        """What is gone (-) and what is new (+) in `later`, by section; empty when nothing is."""
        told = []
        for name in sorted({*self.sections, *later.sections}):
            before, after = self.sections.get(name, ()), later.sections.get(name, ())
            lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
            told += [f"{name}: {line}" for line in lines if not line.startswith("@@")]
        return "\n".join(told)

    def after_restart(self) -> Snapshot:
        """The same without what a restart of a machine decides: which one-off units of the system had work to do."""
        units = tuple(line for line in self.sections.get("units", ()) if not line.endswith(" active exited"))
        return Snapshot({**self.sections, "units": units})
