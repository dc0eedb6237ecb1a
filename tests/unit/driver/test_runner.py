"""The runner on real playbooks: events, failures, cancellation, and what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from halab.driver.events import TaskEvent
from halab.driver.runner import PlayFailed, Plays
from halab.waiting import eventually

Write = Callable[[str, str], None]

HELLO = """
- hosts: localhost
  connection: local
  tasks:
    - name: Say it
      ansible.builtin.debug: {msg: "hello {{ who }}"}
    - name: Change it
      ansible.builtin.file: {path: "{{ folder }}", state: directory, mode: "0700"}
"""
FAIL = """
- hosts: localhost
  connection: local
  tasks:
    - name: Refuse
      ansible.builtin.fail: {msg: "key = 3: is wrong. Use 4."}
"""
SECRET = """
- hosts: localhost
  connection: local
  tasks:
    - name: Keep it
      ansible.builtin.command: {argv: [echo, "{{ password }}"]}
      no_log: true
    - name: Fail with it
      ansible.builtin.command: {argv: ["false", "{{ password }}"]}
      no_log: true
"""
SLEEP = """
- hosts: localhost
  connection: local
  tasks:
    - name: Sleep
      ansible.builtin.command: {argv: [sh, -c, "echo $$ > '{{ pid_file }}'; exec sleep 600"]}
"""


def test_events_and_result(plays: Plays, write: Write, tmp_path: Path) -> None:
    write("hello", HELLO)
    seen: list[TaskEvent] = []
    result = plays.run("hello", {"who": "you", "folder": str(tmp_path / "new")}, on_event=seen.append)
    assert result.ok and result.changed == 1 and not result.problems
    assert [(event.kind, event.task) for event in seen] == [
        ("task", "Say it"), ("ok", "Say it"), ("task", "Change it"), ("ok", "Change it")
    ]  # fmt: skip
    assert seen[1].result["msg"] == "hello you"
    assert "hello you" in plays.log("hello").read_text()


def test_extra_variables_of_one_run_do_not_reach_the_next(plays: Plays, write: Write, tmp_path: Path) -> None:
    write("hello", HELLO)
    assert plays.run("hello", {"who": "you", "folder": str(tmp_path / "new")}).ok
    result = plays.run("hello", {"folder": str(tmp_path / "new")})
    assert result.status == "failed" and "'who' is undefined" in result.problems[0]


def test_failure_says_who_and_what(plays: Plays, write: Write) -> None:
    write("fail", FAIL)
    with pytest.raises(
        PlayFailed, match=r"playbook fail failed:\n  localhost: Refuse: key = 3: is wrong\. Use 4\."
    ) as caught:
        plays.must("fail")
    assert str(plays.log("fail")) in str(caught.value)


def test_unreachable_host_is_named(plays: Plays, write: Write) -> None:
    write("ping", "- hosts: all\n  gather_facts: false\n  tasks: [{name: Ping, ansible.builtin.ping: {}}]\n")
    result = plays.run("ping")
    assert result.status == "failed" and result.unreachable == ("gone",)
    assert result.problems[0].startswith("gone: does not answer: ")


def test_a_playbook_that_cannot_start_shows_why(plays: Plays, write: Write) -> None:
    write("broken", "- hosts: localhost\n  taskz: []\n")
    result = plays.run("broken")
    assert result.status == "failed"
    assert any("taskz" in problem for problem in result.problems)


def test_secrets_and_private_folders_do_not_stay(
    plays: Plays, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("UNRELATED_TOKEN", "token-of-somebody")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    write("secret", SECRET)
    result = plays.run("secret", {"password": "hunter2-planted"})
    assert result.status == "failed"
    assert result.problems == ("localhost: Fail with it: its result is hidden because it may hold a secret",)
    assert not list((tmp_path / "tmp").glob("halab-play-*"))
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter2-planted" not in everything
    assert b"token-of-somebody" not in everything


def test_ansible_sees_a_small_environment(plays: Plays, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNRELATED_TOKEN", "token-of-somebody")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    write(
        "env",
        "- hosts: localhost\n  connection: local\n  tasks: [{ansible.builtin.command: env, changed_when: false}]\n",
    )
    seen: list[TaskEvent] = []
    assert plays.run("env", on_event=seen.append).ok, "ansible-playbook is found beside the interpreter"
    lines = next(event.result["stdout_lines"] for event in seen if event.kind == "ok")
    assert not [line for line in lines if line.startswith(("UNRELATED_TOKEN", "ANSIBLE_HOST_KEY_CHECKING"))]


def of_play(pid: int) -> list[str]:
    """Command lines of processes that run a play of process `pid`."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if f"halab-play-{pid}-" in line]


def end_task(tmp_path: Path) -> None:
    """A task's own process may outlive Ansible, which is why faults are healed separately."""
    if (tmp_path / "pid").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("how", ["cancel", "exception", "time"])
def test_cancel_ends_ansible_and_its_workers(plays: Plays, write: Write, how: str, tmp_path: Path) -> None:
    write("sleep", SLEEP)
    cancel, arguments = threading.Event(), {"pid_file": str(tmp_path / "pid")}
    began = time.monotonic()

    def on_event(event: TaskEvent) -> None:
        if event.kind == "task":
            eventually((tmp_path / "pid").exists, within_s=10, what="the task to begin")
        if event.kind == "task" and how == "cancel":
            cancel.set()
        if event.kind == "task" and how == "exception":
            raise KeyboardInterrupt

    if how == "exception":
        with pytest.raises(KeyboardInterrupt):
            plays.run("sleep", arguments, on_event=on_event)
    else:
        within_s = 12 if how == "time" else None
        result = plays.run("sleep", arguments, on_event=on_event, cancel=cancel, within_s=within_s)
        assert result.status == ("canceled" if how == "cancel" else "timeout")
    assert time.monotonic() - began < 30
    eventually(lambda: not of_play(os.getpid()), within_s=5, what="Ansible's workers to end")
    end_task(tmp_path)


RUN_PLAY = """
import sys
from pathlib import Path
from halab.driver.runner import Plays
folder = Path(sys.argv[1])
plays = Plays(root=folder / "a repository", inventory=folder / "hosts.yml", logs=folder / "logs")
plays.run("sleep", {"pid_file": str(folder / "pid")})
"""


def test_a_killed_driver_takes_ansible_with_it(plays: Plays, write: Write, tmp_path: Path) -> None:
    """Or an unwatched playbook would go on to inject a fault that nobody waits for."""
    write("sleep", SLEEP)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", RUN_PLAY, str(tmp_path)], env=environment, start_new_session=True
    ) as driver:
        eventually((tmp_path / "pid").exists, within_s=20, what="the task to begin")
        assert of_play(driver.pid)
        driver.kill()
        driver.wait()
        eventually(lambda: not of_play(driver.pid), within_s=5, what="Ansible to end with its driver")
    end_task(tmp_path)
    assert list(Path(tempfile.gettempdir()).glob(f"halab-play-{driver.pid}-*"))
    write("hello", HELLO)
    assert plays.run("hello", {"who": "you", "folder": str(tmp_path / "new")}).ok
    assert not list(Path(tempfile.gettempdir()).glob(f"halab-play-{driver.pid}-*")), "the next one tidies up"
