"""Generated secrets: one value for everybody, private, and never quoted in an error."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from ansible_collections.halab.stack.plugins.module_utils.secrets import SecretError, SecretStore, generate

NAMES = [f"secret_{number}" for number in range(6)]


def _ensure_all(directory: Path) -> list[str]:
    store = SecretStore(directory)
    return [store.ensure(name, length=32) for name in NAMES]


def test_processes_that_ask_at_the_same_time_get_the_same_secrets(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        answers = pool.map(_ensure_all, [directory] * 12)
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0])) == len(NAMES)
    assert [SecretStore(directory).get(name) for name in NAMES] == answers[0]
    assert [path.name for path in directory.iterdir()] == ["secrets.yml"]


def test_file_and_directory_are_private(tmp_path: Path) -> None:
    store = SecretStore(tmp_path / "a" / "state")
    store.ensure("one", length=32)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700


def test_a_secret_of_the_user_is_kept(tmp_path: Path) -> None:
    store = SecretStore(tmp_path)
    store.path.write_text("mine: 'short #1'\n", "utf-8")
    assert store.ensure("mine", length=32) == "short #1"
    store.ensure("other", length=32)
    assert store.get("mine") == "short #1"


def test_a_name_may_be_the_kind_of_string_that_ansible_reads_from_yaml(tmp_path: Path) -> None:
    class Tagged(str):
        __slots__ = ()

    store = SecretStore(tmp_path)
    assert store.ensure(Tagged("one"), length=32) == SecretStore(tmp_path).get("one")


def test_secrets_are_letters_and_digits_of_the_length_asked_for() -> None:
    assert generate(40).isalnum()
    assert len(generate(40)) == 40
    with pytest.raises(SecretError, match="16 or more"):
        generate(15)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one: [hunter2\n", "is not YAML"),
        ("- hunter2\n", "not a list"),
        ("one: 12345678\n", "one must be text"),
        ("one: ''\n", "one must be text that is not empty"),
    ],
)
def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path, text: str, says: str) -> None:
    store = SecretStore(tmp_path)
    store.path.write_text(text, "utf-8")
    with pytest.raises(SecretError, match=says) as caught:
        store.ensure("two", length=32)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert store.path.read_text("utf-8") == text


def test_a_name_that_is_no_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="letters, digits and underscores"):
        SecretStore(tmp_path).get("../passwd")
