"""Wrong parameters of a changed setting: refused by name, before anything changes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils import config_plan
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.config_plan import plan_of
from ansible_collections.halab.faults.plugins.module_utils.config_record import VARIABLE
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError

Arguments = Callable[..., dict[str, Any]]
NONE: dict[str, Any] = {
    **dict.fromkeys(("path", "content", "append", "regexp", "replace", "ca_file", "cert_file", "key_file")),
    "apply": [],
    "check_command": [],
    "endpoints": [],
    "settings": {},
    "username": "patroni",
    "password": "",
    "observed_within": 2,
    "gone_within": 2,
    "cluster": "",
    "run": "",
    "state": "injected",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file.conf"
    made.write_text("a 1\n")
    return made


@pytest.fixture
def asked(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Arguments:
    """Parameters of the module for a file, as Ansible would pass them."""
    monkeypatch.delenv(VARIABLE, raising=False)
    fixed = {"id": "drill-1", "ttl": 60, "ledger_dir": str(tmp_path / "ledger"), "kind": "file", "path": str(path)}
    return lambda **changes: {**NONE, **fixed, **changes}


@pytest.fixture
def patroni(tmp_path: Path, asked: Arguments) -> Arguments:
    """The same for Patroni, at an address where nobody answers."""
    (tmp_path / "pem").write_text("")
    files = dict.fromkeys(("ca_file", "cert_file", "key_file"), str(tmp_path / "pem"))
    fixed = {"kind": "patroni", "path": None, "endpoints": ["https://127.0.0.1:1"], "settings": {"ttl": 1}}
    return lambda **changes: asked(**{**fixed, **files, "password": "secret-word", **changes})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, r"^content, append, regexp: exactly one .* given: none"),
        ({"append": "x", "content": "y"}, r"given: content, append"),
        ({"append": "x", "replace": "y"}, r"given: append, replace"),
        ({"append": "x", "path": None}, r"^path: is missing"),
        ({"append": "x", "path": "file.conf"}, r"^path = 'file.conf': is not an absolute path"),
        ({"append": "x", "path": "/"}, r"^path = '/': is not a regular file"),
        ({"append": "x", "path": "/dev/null"}, r"^path = '/dev/null': is not a regular file"),
        ({"content": "x", "path": "/no/such/folder/file"}, r"its folder /no/such/folder is not there"),
        ({"append": "x", "path": "/etc/no-such-file"}, r"is not there, so nothing in it"),
        ({"regexp": "b"}, r"^path = .*has nothing that matches 'b'"),
        ({"regexp": "("}, r"no regular expression"),
        ({"content": "a 1\n"}, r"nothing would change"),
        ({"content": "x" * 130_000}, r"more than 120000 bytes"),
        ({"append": "x", "apply": ["no-such-program"]}, r"^no-such-program: is not installed, and apply"),
        (
            {"append": "x", "check_command": ["no-such-program"]},
            r"^no-such-program: is not installed, and check_command",
        ),
        ({"append": "x", "observed_within": 0}, r"^observed_within = 0"),
        ({"append": "x", "gone_within": -1}, r"^gone_within = -1"),
        ({"append": "x", "settings": {"ttl": 1}}, r"^settings: says nothing about kind=file"),
        ({"append": "x", "endpoints": ["https://x"]}, r"^endpoints: says nothing about kind=file"),
    ],
)
def test_files_that_are_refused(asked: Arguments, path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named) as told:
        plan_of(asked(**changes))
    assert str(told.value).endswith("Nothing was changed.")
    assert path.read_text() == "a 1\n"


def test_the_ledger_itself_is_refused(asked: Arguments, tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    with pytest.raises(FaultError, match="belongs to the ledger"):
        plan_of(asked(path=str(tmp_path / "ledger/other.json"), content="x"))


def test_a_link_is_followed(asked: Arguments, path: Path, tmp_path: Path) -> None:
    """Two faults on one file must exclude each other by whatever name they call it."""
    (tmp_path / "link").symlink_to(path)
    assert plan_of(asked(path=str(tmp_path / "link"), append="x")).target == str(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"settings": {}}, r"^settings: is missing, and kind=patroni"),
        ({"endpoints": []}, r"^endpoints: is missing"),
        ({"endpoints": ["http://127.0.0.1:1"]}, r"^endpoints = 'http://127.0.0.1:1': is not an https URL"),
        ({"password": ""}, r"^password: is missing"),
        ({"ca_file": None}, r"^ca_file: is missing"),
        ({"cert_file": "/no/such/file"}, r"^cert_file = '/no/such/file': cannot be read"),
        ({"key_file": "/no/such/file"}, r"^key_file = '/no/such/file': cannot be read"),
        ({"append": "x"}, r"^append: says nothing about kind=patroni"),
        ({"apply": ["true"]}, r"^apply: says nothing about kind=patroni"),
        ({}, r"^endpoints: the configuration cannot be read: no member serves the configuration"),
    ],
)
def test_clusters_that_are_refused(patroni: Arguments, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named) as told:
        plan_of(patroni(**changes))
    assert "secret-word" not in str(told.value)


def test_no_secret_in_the_plan(patroni: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and the ledger are shown to people; what they must not see goes by the environment."""
    monkeypatch.setattr(config_plan, "_require_difference", lambda *_: None)
    plan = plan_of(patroni())
    assert "secret-word" not in repr(plan)
    assert json.loads(os.environ[VARIABLE])["password"] == "secret-word"


def test_there_and_back_by_the_ledger(asked: Arguments, path: Path, tmp_path: Path) -> None:
    """The commands of the plan themselves, each in a process of its own, as the lifecycle runs them."""
    plan = plan_of(
        asked(
            regexp="1", replace="2", apply=["touch", str(tmp_path / "applied")], check_command=["grep", "2", str(path)]
        )
    )
    Agent(tmp_path / "ledger", plan.parts).install()
    for argv in plan.inject:
        subprocess.run(argv, check=True)
    assert path.read_text() == "a 2\n"
    assert (tmp_path / "applied").exists()
    assert all(probe.observe()[0] for probe in plan.observed)
    assert not any(probe.observe()[0] for probe in plan.gone)
    for argv in (*plan.undo, *plan.undo):
        subprocess.run(argv, check=True)
    assert path.read_text() == "a 1\n"
    assert all(probe.observe()[0] for probe in plan.gone)
