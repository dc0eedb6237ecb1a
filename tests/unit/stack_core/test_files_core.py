"""Placing files: compared first, all or nothing, blocks inside files of others."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from ansible_collections.halab.stack.plugins.module_utils.files import (
    Entry,
    FilesError,
    Planner,
    Step,
    apply_all,
    with_block,
)
from ansible_collections.halab.stack.plugins.modules.files import difference


def steps(entries: Iterable[Entry], *, check_mode: bool = False) -> list[Step]:
    """Return the steps that `entries` need."""
    planner = Planner(check_mode=check_mode)
    return [step for step in map(planner.plan, entries) if step]


def file(path: Path, content: str, *, mode: int = 0o644) -> Entry:
    """Return an entry for a text."""
    return Entry(path=str(path), state="file", content=content.encode(), mode=mode)


def tree(folder: Path) -> dict[str, tuple[str, int, str]]:
    """Return kind, mode and content of all below `folder`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "directory" if path.is_dir() else "file"
        content = str(path.readlink()) if kind == "link" else path.read_text("utf-8") if kind == "file" else ""
        found[str(path.relative_to(folder))] = (kind, stat.S_IMODE(path.lstat().st_mode), content)
    return found


def test_a_step_that_fails_undoes_all_before_it(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old", "utf-8")
    (tmp_path / "old").chmod(0o600)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("inside", "utf-8")
    (tmp_path / "link").symlink_to("old")
    (tmp_path / "gone").write_text("gone", "utf-8")
    before = tree(tmp_path)
    entries = [
        file(tmp_path / "old", "new"),
        Entry(path=str(tmp_path / "made"), state="directory", mode=0o700),
        file(tmp_path / "made" / "file", "made"),
        Entry(path=str(tmp_path / "folder"), state="absent"),
        Entry(path=str(tmp_path / "gone"), state="absent"),
        Entry(path=str(tmp_path / "link"), state="link", target="folder"),
        Entry(path=str(tmp_path / "refused"), state="file", content=b"bad", mode=0o644, validate="judge %s"),
    ]

    def judge(entry: Entry, path: str) -> None:
        assert Path(path).read_bytes() == b"bad"
        raise FilesError(f"{entry.path}: bad")

    with pytest.raises(FilesError, match=r"refused: bad\. Nothing was changed"):
        apply_all(steps(entries), validate=judge)
    assert tree(tmp_path) == before


def test_nothing_is_left_behind_after_success(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("inside", "utf-8")
    apply_all(steps([file(tmp_path / "a", "A\n", mode=0o640), Entry(path=str(tmp_path / "folder"), state="absent")]))
    assert tree(tmp_path) == {"a": ("file", 0o640, "A\n")}


def test_what_is_so_already_needs_no_step(tmp_path: Path) -> None:
    entries = [
        Entry(path=str(tmp_path / "d"), state="directory", mode=0o750),
        file(tmp_path / "d" / "f", "text"),
        Entry(path=str(tmp_path / "l"), state="link", target="d/f"),
        Entry(path=str(tmp_path / "none"), state="absent"),
    ]
    assert len(steps(entries)) == 3
    apply_all(steps(entries))
    assert steps(entries) == []
    (tmp_path / "d" / "f").chmod(0o600)
    assert [step.entry.path for step in steps(entries)] == [str(tmp_path / "d" / "f")]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old", "utf-8")
    with path.open(encoding="utf-8") as reader:
        apply_all(steps([file(path, "new")]))
        assert reader.read() == "old"
    assert path.read_text("utf-8") == "new"


def test_files_of_one_call_take_their_places_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that reads a certificate and its key finds a pair but for the moment between two renames."""
    replace, waiting = os.replace, []

    def watched(source: str, target: str) -> None:
        waiting.append({Path(source).read_text("utf-8"), *(one.read_text("utf-8") for one in tmp_path.glob(".key.*"))})
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    apply_all(steps([file(tmp_path / "crt", "certificate"), file(tmp_path / "key", "secret")]))
    assert waiting == [{"certificate", "secret"}, {"secret"}]
    assert sorted(tree(tmp_path)) == ["crt", "key"]


WRITE_OVER_A_MOUNT = """
import sys
from ansible_collections.halab.stack.plugins.module_utils.files import Entry, Planner, apply_all
entry = Entry(path=sys.argv[1], state="file", content=b"new", mode=0o600)
apply_all([Planner(check_mode=False).plan(entry)])
"""


def test_a_file_that_is_a_mount_point_is_written_in_place(tmp_path: Path) -> None:
    path, behind = tmp_path / "hosts", tmp_path / "behind"
    path.touch()
    behind.write_text("a much longer old content", "utf-8")
    mounted = 'mount --bind "$0" "$1" && exec "$2" -c "$3" "$1"'
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*namespace, "mount", "--bind", behind, path], check=False, capture_output=True).returncode != 0:
        pytest.skip("the kernel does not let this user make a mount namespace and mount in it")
    command = [*namespace, "sh", "-c", mounted, str(behind), str(path), sys.executable, WRITE_OVER_A_MOUNT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert behind.read_text("utf-8") == "new"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["behind", "hosts"]


def test_check_mode_counts_what_is_not_there_yet_as_changes(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet"
    entry = Entry(path=str(path), state="file", content=None, mode=0o600, owner="nobody-yet", group="nobody-yet")
    assert len(steps([entry], check_mode=True)) == 1
    with pytest.raises(FilesError, match="there is no directory"):
        steps([entry])
    with pytest.raises(FilesError, match="there is no owner nobody-yet here"):
        steps([Entry(path=str(tmp_path / "f"), state="file", content=b"", mode=0o600, owner="nobody-yet")])


def test_a_file_where_a_directory_is_wanted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("", "utf-8")
    with pytest.raises(FilesError, match="is a file and must become a directory; remove it first"):
        steps([Entry(path=str(tmp_path / "x"), state="directory", mode=0o755)])
    with pytest.raises(FilesError, match="is a directory and must become a file"):
        steps([file(tmp_path, "")])


def test_a_block_leaves_the_other_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost", "utf-8")
    path.chmod(0o664)
    entry = Entry(path=str(path), state="file", content=b"10.0.0.1 pg1\n", block="halab")
    apply_all(steps([entry]))
    assert path.read_text("utf-8") == "127.0.0.1 localhost\n# BEGIN halab\n10.0.0.1 pg1\n# END halab\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o664
    assert steps([entry]) == []


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        (b"", b"# BEGIN x\nnew\n# END x\n"),
        (b"a\n# BEGIN x\nold\nold\n# END x\nb\n", b"a\n# BEGIN x\nnew\n# END x\nb\n"),
        (b"a\n# BEGIN x\nnever closed\n", b"a\n# BEGIN x\nnew\n# END x\nnever closed\n"),
        (b"# BEGIN xx\n# END xx\n", b"# BEGIN xx\n# END xx\n# BEGIN x\nnew\n# END x\n"),
    ],
)
def test_blocks(present: bytes, wanted: bytes) -> None:
    once = with_block(name="x", content=b"new", present=present)
    assert once == wanted
    assert with_block(name="x", content=b"new", present=once) == once


def test_a_secret_is_never_in_a_difference(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("hunter1", "utf-8")
    entry = Entry(path=str(path), state="file", content=b"hunter2", mode=0o600, secret=True)
    shown = difference(steps([entry])[0])
    assert "hunter" not in str(shown)
    assert shown["before"] != shown["after"]


def test_content_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    entry = Entry(path=str(tmp_path / "f"), state="file", content=b"\xff\x00", mode=0o600)
    assert difference(steps([entry])[0])["after"] == "(binary)\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"path": "etc/x"}, "path must be absolute"),
        ({"mode": "640"}, "quoted octal number with a leading zero"),
        ({"mode": "416"}, "quoted octal number with a leading zero"),
        ({"mode": "u=rw"}, "quoted octal number with a leading zero"),
    ],
)
def test_entries_that_are_mistakes_are_refused(change: dict[str, str], says: str) -> None:
    sent = {"path": "/x", "state": "file", "mode": "0640", "content": base64.b64encode(b"x").decode(), **change}
    with pytest.raises(FilesError, match=says):
        Entry.parse(sent)
