"""What all scenarios share: how TLS is asked for, and the component's own words under a test that failed.

A module says `testinfra_hosts`, which hosts it is about, and `UNITS`, whose journal belongs to its failures.
"""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterable

import pytest
import testinfra
from testinfra.host import Host
from tests.molecule.verify.support import stranger

from halab.clients.http import client_context
from halab.inventory import Cluster
from halab.inventory import Host as Machine

JOURNAL_LINES = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the journals under the failure, so that a run of CI needs no second one to be understood."""
    report = yield
    if report.failed and report.when != "teardown":
        for machine in _machines(item):
            for unit in getattr(getattr(item, "module", None), "UNITS", ()):
                report.sections.append(
                    (f"journal of {unit} on {machine.backend.get_hostname()}", _journal(machine, unit))
                )
    return report


def _machines(item: pytest.Item) -> Iterable[Host]:
    """The machine of the test, or all of its module when it is about the cluster."""
    own = getattr(item, "funcargs", {}).get("host")
    if own is not None:
        return [own]
    patterns = getattr(getattr(item, "module", None), "testinfra_hosts", ())
    hosts: list[Host] = testinfra.get_hosts(patterns, ansible_inventory=item.config.getoption("ansible_inventory"))
    return hosts


def _journal(machine: Host, unit: str) -> str:
    try:
        done = machine.run("journalctl --no-pager --no-hostname --lines %s --unit %s", str(JOURNAL_LINES), unit)
    except RuntimeError as error:  # how testinfra says that SSH failed
        return f"not read: {error}"
    return str(done.stdout or done.stderr)


@pytest.fixture(scope="session")
def showing(cluster: Cluster) -> ssl.SSLContext:
    """Settings of a client that shows the certificate made for it."""
    return client_context(cluster.tls)


@pytest.fixture(scope="session")
def bare(cluster: Cluster) -> ssl.SSLContext:
    """Settings of a client that trusts the authority and has no certificate."""
    return ssl.create_default_context(cafile=str(cluster.tls.ca_file))


@pytest.fixture(scope="session")
def foreign(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Settings of a client whose certificate is of another authority, though in the same names."""
    return stranger(cluster.tls.ca_file, tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def machine(host: Host, cluster: Cluster) -> Machine:
    """The machine under test as the inventory describes it."""
    return cluster.host(host.backend.get_hostname())
