# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: where the package of Citus comes from. Debian has none, so it is a file of the controller or upstream's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

REACHED_WITHIN_S = 5.0


class CitusPackageError(Exception):
    """No package as declared. The message names the parameter, its value and the fix."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: a package of Citus `citus_version` (such as 14.0) for a major version of PostgreSQL."""

    citus_version: str
    postgresql_version: str
    package_file: str = ""
    package_dir: str = ""

    @property
    def name(self) -> str:
        """Name of the package, which upstream's repository and local builds share."""
        return f"postgresql-{self.postgresql_version}-citus-{self.citus_version}"


def find(wanted: Wanted) -> Path | None:
    """Return the file that was named, else the newest that matches in the folder, None when there is none.

    Raises CitusPackageError when the named file does not exist or is another package.
    """
    if wanted.package_file:
        path = Path(wanted.package_file).expanduser()
        if not path.is_file():
            raise CitusPackageError(f"citus_package_file = {path}: there is no such file; give a .deb of {wanted.name}")
        if not _matches(path, wanted):
            raise CitusPackageError(
                f"citus_package_file = {path}: its name is not that of {wanted.name}; set citus_version and "
                "patroni_postgresql_version to what it is built for"
            )
        return path
    folder = Path(wanted.package_dir).expanduser() if wanted.package_dir else None
    found = folder.glob("*.deb") if folder is not None and folder.is_dir() else ()
    return newest(path for path in found if _matches(path, wanted))


def newest(paths: Iterable[Path]) -> Path | None:
    """Return the file with the highest version in its name, None of none."""
    return max(paths, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)], default=None)


def why_unreachable(url: str, suite: str) -> str:
    """Return why a repository of packages cannot be used from here, empty when it answers."""
    release = f"{url.rstrip('/')}/dists/{suite}/Release"
    try:
        with urlopen(release, timeout=REACHED_WITHIN_S):  # noqa: S310  the administrator's own parameter
            return ""
    except (URLError, OSError, ValueError) as error:
        return f"{release}: {getattr(error, 'reason', None) or error}"


def _matches(path: Path, wanted: Wanted) -> bool:
    return path.name.startswith(f"{wanted.name}_") and path.suffix == ".deb"
