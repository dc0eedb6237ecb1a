"""halab.stack.files and the lookup, run by ansible-playbook on this machine."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.unit.stack_core.conftest import RunTasks

USER = f"{os.geteuid()}"
GROUP = f"{os.getegid()}"
TEMPLATE = """\
{{ ansible_managed | comment }}
{% for name in names %}
name = {{ name }}
{% endfor %}
{% include 'part.j2' %}

password = {{ lookup('halab.stack.secret', 'some_password') }}
"""


@pytest.fixture
def place(tmp_path: Path, run_tasks: RunTasks) -> dict[str, Any]:
    """Return a task that places one of everything, with the files of the controller it needs."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "app.j2").write_text(TEMPLATE, "utf-8")
    (tmp_path / "templates" / "part.j2").write_text("part of {{ path_of_template }}", "utf-8")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "node.key").write_text("-----KEY hunter2-----\n", "utf-8")
    target = tmp_path / "target"
    entries = [
        {"path": f"{target}", "state": "directory", "mode": "0750"},
        {"path": f"{target}/app.conf", "template": "app.j2", "vars": {"names": ["a", "b"], "path_of_template": "app"}},
        {"path": f"{target}/node.key", "source": "node.key", "secret": True},
        {"path": f"{target}/text", "content": "one\ntwo\n", "mode": "0600"},
        {"path": f"{target}/null", "state": "link", "target": "/dev/null"},
    ]
    module = {"owner": USER, "group": GROUP, "mode": "0640", "files": entries}
    return {"name": "Place", "halab.stack.files": module, "register": "placed"}


def test_everything_is_placed_once(tmp_path: Path, run_tasks: RunTasks, place: dict[str, Any]) -> None:
    state = str(tmp_path / "state")
    target = tmp_path / "target"
    checked = run_tasks([place], "--check", "--diff", halab_state_dir=state)
    assert checked.code == 0, checked.output
    assert len(checked.tasks["Place"]["changed_paths"]) == 5
    assert not target.exists()
    assert not Path(state).exists(), "check mode kept a secret"

    first = run_tasks([place], "--diff", "-vvv", halab_state_dir=state)
    assert first.code == 0, first.output
    assert first.tasks["Place"]["changed_paths"] == checked.tasks["Place"]["changed_paths"]
    password = Path(state, "secrets.yml").read_text("utf-8").split()[1]
    assert (target / "app.conf").read_text("utf-8") == (
        f"#\n# Ansible managed\n#\nname = a\nname = b\npart of app\npassword = {password}\n"
    )
    assert (target / "text").read_text("utf-8") == "one\ntwo\n"
    assert (target / "null").readlink() == Path("/dev/null")
    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in target.iterdir() if not path.is_symlink()}
    assert modes == {"app.conf": 0o640, "node.key": 0o600, "text": 0o600}

    second = run_tasks([place], "--diff", halab_state_dir=state)
    assert second.tasks["Place"]["changed"] is False
    assert second.tasks["Place"]["changed_paths"] == []


def test_no_output_holds_a_secret(tmp_path: Path, run_tasks: RunTasks, place: dict[str, Any]) -> None:
    place["halab.stack.files"]["files"].append(
        {"path": str(tmp_path / "target" / "inline"), "content": "inline hunter3", "secret": True}
    )
    for _ in range(2):
        done = run_tasks([place], "--diff", "-vvvv", halab_state_dir=str(tmp_path / "state"))
        assert done.code == 0, done.output
        assert "hunter2" not in done.output
        assert "hunter3" not in done.output
        (tmp_path / "target" / "inline").write_text("tampered hunter3", "utf-8")


def test_a_mistake_in_one_entry_leaves_nothing_half_done(
    tmp_path: Path, run_tasks: RunTasks, place: dict[str, Any]
) -> None:
    place["halab.stack.files"]["files"][3]["owner"] = "nobody-has-this-name"
    done = run_tasks([place], halab_state_dir=str(tmp_path / "state"))
    assert done.code != 0
    assert "there is no owner nobody-has-this-name here" in done.output
    assert not (tmp_path / "target").exists()
    checked = run_tasks([place], "--check", halab_state_dir=str(tmp_path / "state"))
    assert checked.code == 0, checked.output


MISTAKES: dict[str, dict[str, Any]] = {
    "mutually exclusive": {"path": "/x", "content": "a", "template": "b"},
    "any of the following are missing": {"path": "/x"},
    "permissions": {"path": "/x", "content": "a", "permissions": "0600"},
    "nowhere.key": {"path": "/x", "source": "nowhere.key"},
    "target": {"path": "/x", "state": "link"},
    "must be absolute": {"path": "x", "content": "a"},
    "quoted octal": {"path": "/x", "content": "a", "mode": 416},
}


def test_entries_that_make_no_sense_are_refused(run_tasks: RunTasks) -> None:
    tasks = [
        {"name": says, "halab.stack.files": {"files": [entry]}, "ignore_errors": True}
        for says, entry in MISTAKES.items()
    ]
    done = run_tasks(tasks)
    for says in MISTAKES:
        assert done.tasks[says]["failed"] is True
        assert says in done.tasks[says]["msg"]


def test_a_file_that_is_refused_is_not_placed(tmp_path: Path, run_tasks: RunTasks) -> None:
    entries = [
        {"path": str(tmp_path / "a"), "content": "fine"},
        {"path": str(tmp_path / "b"), "content": "fine", "validate": "grep -q fine %s"},
        {"path": str(tmp_path / "c"), "content": "foul", "validate": "grep -q fine %s"},
    ]
    done = run_tasks([{"name": "Place", "halab.stack.files": {"files": entries}}])
    assert done.code != 0
    assert "grep refuses the new content" in done.tasks["Place"]["msg"]
    assert not [path.name for path in tmp_path.iterdir() if len(path.name) == 1]


def test_check_mode_takes_a_source_that_is_not_made_yet_as_a_change(tmp_path: Path, run_tasks: RunTasks) -> None:
    entries = [{"path": str(tmp_path / "key"), "source": "/nonexistent/node.key", "secret": True}]
    done = run_tasks([{"name": "Place", "halab.stack.files": {"files": entries}}], "--check")
    assert done.code == 0, done.output
    assert done.tasks["Place"]["changed"] is True


def test_the_lookup_needs_a_state_directory(run_tasks: RunTasks) -> None:
    show = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ lookup('halab.stack.secret', 'one') }}"}}
    done = run_tasks([show])
    assert done.code != 0
    assert "halab_state_dir is not set" in done.output


def test_the_lookup_takes_a_length(tmp_path: Path, run_tasks: RunTasks) -> None:
    lookup = "{{ lookup('halab.stack.secret', 'one', 'two', length=20, wantlist=true) | map('length') }}"
    show = {"name": "Show", "ansible.builtin.debug": {"msg": lookup}}
    done = run_tasks([show], halab_state_dir=str(tmp_path / "state"))
    assert done.tasks["Show"]["msg"] == [20, 20], done.output


def test_what_a_killed_run_left_pending_counts_as_changed_until_it_is_in_force(
    tmp_path: Path, run_tasks: RunTasks, place: dict[str, Any]
) -> None:
    pending, state = tmp_path / "pending" / "app.json", str(tmp_path / "state")
    place["halab.stack.files"]["pending"] = str(pending)
    first = run_tasks([place], halab_state_dir=state).tasks["Place"]
    assert json.loads(pending.read_text("utf-8")) == first["changed_paths"]
    for options in ([], ["--check"], []):
        again = run_tasks([place], *options, halab_state_dir=state).tasks["Place"]
        assert (again["changed"], again["changed_paths"]) == (True, first["changed_paths"]), options
    pending.unlink()
    assert run_tasks([place], halab_state_dir=state).tasks["Place"]["changed"] is False
    assert not pending.exists()


def test_a_run_that_changed_nothing_in_the_end_leaves_nothing_pending(
    tmp_path: Path, run_tasks: RunTasks, place: dict[str, Any]
) -> None:
    pending = tmp_path / "pending" / "app.json"
    place["halab.stack.files"]["pending"] = str(pending)
    place["halab.stack.files"]["files"][3]["validate"] = "false %s"
    refused = run_tasks([place], halab_state_dir=str(tmp_path / "state"))
    assert "Nothing was changed" in refused.output
    assert not pending.exists()
