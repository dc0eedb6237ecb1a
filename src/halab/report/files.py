"""Reports are written whole or not at all: a reader never meets half a file, and a failed attempt keeps the old one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, content: bytes) -> Path:
    """Put `content` in the place of `path` in one step and return it. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        partial.chmod(0o644)
        return partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
