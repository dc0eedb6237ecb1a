"""halab on a cluster that it did not build, with an inventory alone (X5).

The order of the tests is that of somebody who tries halab on such a cluster: look, be refused, look closer, break it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ha.test_drill import ROOT, halab, promises, run_folder

NAME = "orders"
SUITE_WITHIN_S = 400
DRILL_WITHIN_S = 300
COLLECTIONS = tuple(name for name in ("ha", "integration") if (ROOT / "tests" / name).is_dir())
REASONS = ("group redis", "redis group", "halab_provision", "stats show-legends", "without Citus")
DRILLS = ("switchover", "network-partition", "primary-failure", "etcd-failure-member")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(max(SUITE_WITHIN_S, DRILL_WITHIN_S) + 300)]


def ansible(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Ansible on the foreign cluster's inventory."""
    program, *rest = arguments
    return subprocess.run(
        [str(Path(sys.executable).parent / program), "-i", str(inventory), *rest],
        cwd=ROOT, capture_output=True, text=True, timeout=SUITE_WITHIN_S, check=False,
    )  # fmt: skip


@pytest.fixture
def wrong(foreign: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a copy of the inventory with other facts; None leaves one out."""

    def copy(**facts: Any) -> Path:
        inventory = tmp_path / "inventory"
        (inventory / "group_vars").mkdir(parents=True)
        (inventory / "hosts.yml").write_text((foreign / "hosts.yml").read_text())
        known: dict[str, Any] = {}
        for path in sorted((foreign / "group_vars/all").glob("*.yml")):
            known |= yaml.safe_load(path.read_text())
        known = {key: value for key, value in (known | facts).items() if value is not None}
        (inventory / "group_vars/all.yml").write_text(yaml.safe_dump(known))
        return inventory

    return copy


def test_status_shows_who_is_what_and_names_what_is_not_there(foreign: Path) -> None:
    said = halab("status", "-i", str(foreign))
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"cluster {NAME}: healthy" in said.stdout, said.stdout
    lines = [line.split() for line in said.stdout.splitlines()]
    assert sorted(line[2] for line in lines if line[0] == "patroni") == ["leader", "replica", "sync_standby"]
    assert [line[1] for line in lines if line[0] == "etcd"] == ["alpha", "beta", "gamma"]
    [leader] = [line[1] for line in lines if line[:1] == ["patroni"] and line[2] == "leader"]
    assert said.stdout.count(f"writes to {leader}, reads to") == 2
    assert "redis      not part of this cluster" in said.stdout


def test_looking_leaves_nothing_behind(foreign: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--inventory"):
        pytest.skip("the cluster of --inventory may have had faults before")
    assert not (foreign.parent / "state/secrets.yml").exists(), "halab makes no passwords for somebody else's cluster"
    left = ansible(foreign, "ansible", "patroni", "-m", "ansible.builtin.find", "-a",
                   "paths=/var/lib,/usr/local,/opt,/run file_type=any patterns=*halab* recurse=true")  # fmt: skip
    assert left.returncode == 0, left.stdout + left.stderr
    assert left.stdout.count("matched: 0") == 3, left.stdout


def test_halab_does_not_configure_it(foreign: Path) -> None:
    up = halab("up", "-i", str(foreign))
    assert up.returncode == 3, up.stdout + up.stderr
    assert "halab_provision" in up.stderr
    play = ansible(foreign, "ansible-playbook", "playbooks/provision.yml")
    assert play.returncode != 0
    assert "halab_provision = false" in play.stdout, play.stdout


def test_a_fault_needs_the_switch_and_the_refusal_names_it(foreign: Path) -> None:
    drill = halab("chaos", "switchover", "-i", str(foreign))
    assert drill.returncode == 3, drill.stdout + drill.stderr
    assert f"halab_allow_destructive: {NAME}" in drill.stderr
    by_hand = ansible(foreign, "ansible-playbook", "playbooks/faults/service.yml", "-e", "fault_target=alpha")
    assert by_hand.returncode != 0
    assert "Nothing was changed" in by_hand.stdout, by_hand.stdout


def test_what_lacks_its_component_is_refused_by_name(foreign: Path) -> None:
    drill = halab("chaos", "redis-failover", "-i", str(foreign), "--allow-destructive", NAME)
    assert drill.returncode == 3, drill.stdout + drill.stderr
    assert "the inventory has no host in group redis" in drill.stderr
    balancer = halab("chaos", "haproxy-failure", "-i", str(foreign), "--allow-destructive", NAME)
    assert "haproxy_address is not set" in balancer.stderr


def test_wrong_facts_of_components_are_named_by_their_keys(wrong: Callable[..., Path], tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=somebody", "-keyout", str(tmp_path / "authority.key"), "-out", str(authority)],
        check=True, capture_output=True,
    )  # fmt: skip
    inventory = wrong(
        patroni_rest_port=8008, etcd_tls=True, halab_ca_file=str(authority), haproxy_write_backend="postgresql_write"
    )
    said = halab("status", "-i", str(inventory)).stdout
    assert "patroni: no member answers; if they run, set patroni_rest_port and ansible_host" in said, said
    assert "etcd: no member speaks as the inventory says; etcd_tls tells whether they speak TLS" in said, said
    assert "there is no backend postgresql_write; set haproxy_write_backend to one that there is: orders_ro" in said


def test_a_wrong_login_of_a_balancer_is_named_by_its_keys(wrong: Callable[..., Path]) -> None:
    said = halab("status", "-i", str(wrong(haproxy_stats_user="somebody"))).stdout
    assert "check haproxy_stats_user and haproxy_stats_password" in said, said


@pytest.mark.parametrize(
    ("fact", "value", "words"),
    [
        ("patroni_superuser_password", None, "patroni_superuser_password: is in neither inventory nor store. Set it"),
        ("etcd_tls", None, "halab_ca_file: is not set, and servers are to be checked by it (etcd_tls)"),
        ("patroni_postgresql_sslmode", "sometimes", "Choose one of disable, require, verify-ca, verify-full"),
        ("halab_provision", None, "set halab_provision: false if somebody else configures this cluster"),
    ],
)
def test_missing_facts_are_named_before_anything_is_asked(
    wrong: Callable[..., Path], fact: str, value: object, words: str
) -> None:
    said = halab("status", "-i", str(wrong(**{fact: value})))
    assert said.returncode == 3, said.stdout + said.stderr
    assert words in said.stderr


@pytest.mark.parametrize(
    ("fact", "value", "words"),
    [
        ("patroni_superuser_password", "guessed", "patroni_superuser_password: is not the password of user dba"),
        ("patroni_postgresql_port", 5432, "patroni_postgresql_port = '5432': is not where these servers answer"),
        ("patroni_postgresql_sslmode", "require", "patroni_postgresql_sslmode = 'require': is not how these servers"),
    ],
)
def test_wrong_facts_of_postgresql_are_named_before_a_drill_begins(
    wrong: Callable[..., Path], fact: str, value: object, words: str
) -> None:
    said = halab("chaos", "health", "-i", str(wrong(**{fact: value})))
    assert said.returncode == 3, said.stdout + said.stderr
    assert words in said.stderr
    assert "guessed" not in said.stdout + said.stderr


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_changes_nothing_of_the_suite_passes(foreign: Path, tmp_path: Path, collection: str) -> None:
    junit = tmp_path / "junit.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"tests/{collection}", "-m", "not destructive", "-q", "-rs",
         "--inventory", str(foreign), "--junit-xml", str(junit), "-p", "no:cacheprovider"],
        cwd=ROOT, capture_output=True, text=True, timeout=SUITE_WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    cases = ET.parse(junit).getroot().findall(".//testcase")
    skipped = {str(case.find("skipped").get("message")) for case in cases if case.find("skipped") is not None}
    assert len(cases) - sum(case.find("skipped") is not None for case in cases) > 10, done.stdout
    assert all(any(key in words for key in REASONS) for words in skipped), skipped


def test_destructive_tests_are_skipped_without_the_switch(foreign: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/ha/test_drill.py", "-q", "-rs", "-p", "no:cacheprovider",
         "-k", "a_switchover_is_graceful", "--inventory", str(foreign)],
        cwd=ROOT, capture_output=True, text=True, timeout=SUITE_WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert f"halab_allow_destructive: {NAME}" in done.stdout


@pytest.mark.destructive
def test_a_program_that_a_fault_needs_is_asked_for_and_installed(foreign: Path) -> None:
    before = halab("chaos", "network-partition", "-i", str(foreign), "--allow-destructive", NAME)
    if "fault_tools.yml" not in before.stderr:
        pytest.skip("the cluster of --inventory has the programs already")
    assert before.returncode == 3
    tools = ansible(foreign, "ansible-playbook", "playbooks/fault_tools.yml")
    assert tools.returncode == 0, tools.stdout + tools.stderr


@pytest.mark.destructive
@pytest.mark.parametrize("scenario", DRILLS)
def test_drills_keep_every_promise(foreign: Path, scenario: str) -> None:
    done = halab("chaos", scenario, "-i", str(foreign), "--allow-destructive", NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    run = run_folder(scenario)
    kept = promises(run)
    assert {item["verdict"] for item in kept.values()} == {"VALID"}, kept
    assert kept["lost_writes"]["measured"] == 0
    meta = json.loads((run / "run.json").read_text())
    assert meta["cluster"]["name"] == NAME
    assert not meta["cluster"]["owned"], "machines that halab did not make are not taken for its own"
