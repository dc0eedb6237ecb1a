"""report.html: one self-contained page about one run, drawn from its folder alone."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from halab.report import files, folder, page, wording

_TEMPLATES = Path(__file__).parent / "templates"


def render(run_dir: Path) -> Path:
    """Write `report.html` into a run folder and return its path.

    A run that died half-way gets a page too, which says what is missing.
    Raises FileNotFoundError when there is no such folder, OSError when it cannot be written.
    """
    text = _environment().get_template("report.html.j2").render(page=page.assemble(folder.load(run_dir)))
    return files.replace(run_dir / "report.html", text.encode(errors="replace"))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=wording.number,
        seconds=wording.seconds,
        clock=wording.clock,
        bytes=wording.size,
        requirement=wording.requirement,
        quantity=wording.quantity,
        href=quote,
    )
    environment.globals.update(
        words=wording.VERDICT_WORDS,
        marks=wording.VERDICT_MARKS,
    )
    return environment
