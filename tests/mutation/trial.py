"""Running tests against a mutant: in a forked child, which has pytest, hypothesis and numpy loaded already.

Tests and package are read from a copy, so that an edit made meanwhile changes nothing and what tests leave behind (byte
code) is gone with it. The mutant is put in the place of its module before any test is imported.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from types import CodeType, ModuleType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FULL: Final = "halab."
"""What a module's full name begins with, whose tests are named from tests/unit; all others are of halab.consistency."""
TESTS: Final = Path("tests/unit")
COPIED: Final = (
    "src/halab",
    *(f"tests/unit/{name}" for name in ("consistency", "checkers", "history", "verdict")),
    "pyproject.toml",
)
PRELOADED: Final = ("pytest", "hypothesis", "hypothesis.extra.pytestplugin", "numpy", "pytest_timeout")
PROFILE: Final = "mutation"
MEMORY_BYTES: Final = 2 << 30
IDLE: Final = 10
"""So many times its processor time may a child take by the clock: other work on the machine is no verdict."""
_fork: Final = multiprocessing.get_context("fork")


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """The root of a copy of what the tests need, which is removed in the end."""
    with TemporaryDirectory(prefix="halab-mutation-") as folder:
        for name in COPIED:
            source, target = ROOT / name, Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        yield Path(folder)


def full_name(module: str) -> str:
    """What Python calls it."""
    return module if module.startswith(FULL) else f"halab.consistency.{module}"


def source_of(root: Path, module: str) -> Path:
    """Where a module is written down."""
    return root.joinpath("src", *full_name(module).split(".")).with_suffix(".py")


def path_of_tests(module: str, name: str) -> Path:
    """Where a test file of a module is, from the root."""
    return TESTS / ("" if module.startswith(FULL) else "consistency") / f"{name}.py"


def preload() -> None:
    """Import once what every child needs.

    Examples are the same each time, a failing one is not made smaller, and a busy machine is no reason to fail.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        PROFILE,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        print_blob=False,
        suppress_health_check=[HealthCheck.too_slow],
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """A child that runs tests, and until when it may (monotonic seconds)."""

    process: BaseProcess
    deadline: float

    @classmethod
    def of(cls, root: Path, module: str, code: CodeType | None, tests: Sequence[str], *, limit_s: float) -> Trial:
        """Start `tests` with `code`, if any, in the place of `module`; `limit_s` is processor time."""
        process = _fork.Process(target=_run, args=(root, module, code, tests, limit_s))
        process.start()
        return cls(process, monotonic() + IDLE * limit_s)

    def wait(self) -> bool:
        """Whether all tests passed. One that takes too long has not; it is killed."""
        self.process.join(max(0.0, self.deadline - monotonic()))
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        passed = self.process.exitcode == 0
        self.process.close()
        return passed


def _run(root: Path, module: str, code: CodeType | None, tests: Sequence[str], limit_s: float) -> None:
    """In the child: the exit code is that of pytest."""
    _bound(limit_s)
    _forget("halab", "tests")
    sys.dont_write_bytecode = False  # what this child compiles serves the next ones
    os.chdir(root)
    sys.path[:0] = [str(root), str(root / "src")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    if code is not None:
        _install(full_name(module), code)
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", f"--hypothesis-profile={PROFILE}", f"--rootdir={root}"]
    sys.exit(pytest.main([*options, *(str(path_of_tests(module, name)) for name in tests)]))


def _bound(limit_s: float) -> None:
    """No mutant may eat the machine, and nobody wants to read what its tests say."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    seconds = int(limit_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # not what a surrounding pytest captures


def _forget(*packages: str) -> None:
    """Have the copy imported, not what this process has imported from the tree."""
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]
    importlib.invalidate_caches()


@dataclass(frozen=True, slots=True)
class _Mutated(MetaPathFinder, Loader):
    """Finds and loads one module, as `code`."""

    name: str
    code: CodeType

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(name, self, origin=self.code.co_filename) if name == self.name else None

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind of module will do."""

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)  # noqa: S102  the mutant is the point


def _install(name: str, code: CodeType) -> None:
    """Have the mutant imported by whoever comes first, which may be its own package."""
    sys.meta_path.insert(0, _Mutated(name, code))
    importlib.import_module(name)
