"""What a release of a collection holds: the archive that Galaxy would get, and the changelog."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from tests.static.project import COLLECTIONS, ROOT, files, load, plugins, roles, tool

NAMES = sorted(path.name for path in (ROOT / COLLECTIONS).iterdir() if (path / "galaxy.yml").exists())
NOT_SHIPPED = {"galaxy.yml"}  # its content is MANIFEST.json


def test_there_are_collections() -> None:
    assert {"faults", "lab", "stack"} <= set(NAMES)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each collection as `ansible-galaxy collection build` makes it, by its name."""
    folder = tmp_path_factory.mktemp("archives")
    built = tool(
        "ansible-galaxy", "collection", "build", "--output-path", str(folder), *(str(COLLECTIONS / n) for n in NAMES)
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return {name: folder / f"halab-{name}-{_galaxy(name)['version']}.tar.gz" for name in NAMES}


def _galaxy(name: str) -> dict[str, str]:
    described: dict[str, str] = load(ROOT / COLLECTIONS / name / "galaxy.yml")
    return described


@pytest.mark.parametrize("name", NAMES)
def test_archive_holds_the_files_of_the_repository_and_no_other(name: str, archives: dict[str, Path]) -> None:
    source = ROOT / COLLECTIONS / name
    wanted = {str(path.relative_to(source)) for path in files(ROOT) if path.is_relative_to(source)} - NOT_SHIPPED
    with tarfile.open(archives[name]) as archive:
        manifest = json.load(archive.extractfile("MANIFEST.json"))  # type: ignore[arg-type]
        held = {member.name for member in archive.getmembers() if member.isfile()}
    assert held == wanted | {"MANIFEST.json", "FILES.json"}
    described = manifest["collection_info"]
    assert (described["namespace"], described["name"]) == ("halab", name)
    assert described["license"] == ["GPL-3.0-or-later"]


def test_installed_collections_are_documented(archives: dict[str, Path], tmp_path: Path) -> None:
    paths = [str(path) for path in archives.values()]
    bare = _bare(tmp_path)
    done = tool("ansible-galaxy", "collection", "install", "--offline", "-p", str(tmp_path), *paths, root=bare)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind, names in {
        "module": list(plugins(ROOT, "modules")),
        "role": [f"halab.{role.parents[1].name}.{role.name}" for role in roles(ROOT)],
    }.items():
        done = tool("ansible-doc", "--json", "-t", kind, *names, root=bare)
        assert done.returncode == 0, done.stderr
        assert sorted(json.loads(done.stdout)) == sorted(names)


def _bare(folder: Path) -> Path:
    """A folder whose Ansible knows the installed collections and not those of this checkout."""
    (folder / "ansible.cfg").write_text(f"[defaults]\ncollections_path = {folder}\n")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_changelog_is_what_its_fragments_say(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "ansible_collections/halab" / name
    shutil.copytree(ROOT / COLLECTIONS / name, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for verb in ("lint", "generate"):
        done = tool("antsibull-changelog", verb, root=copy)
        assert done.returncode == 0, done.stdout + done.stderr
    written = (ROOT / COLLECTIONS / name / "CHANGELOG.md").read_text("utf-8")
    assert (copy / "CHANGELOG.md").read_text("utf-8") == written, "run antsibull-changelog generate in the collection"
    assert _galaxy(name)["version"] in load(copy / "changelogs/changelog.yaml")["releases"]
