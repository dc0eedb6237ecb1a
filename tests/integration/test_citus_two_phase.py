"""A machine dies between PREPARE TRANSACTION and COMMIT PREPARED: the transaction ends on all workers or on none (B11).

The moment is exact: a proxy before each worker holds the message while the power is cut.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from tests.integration.support.breaking import Held, broken, holding
from tests.integration.support.citus import CONNINFO, Citus, failed_over_within_s, recovered_within_s
from tests.integration.support.citus_tables import Pair

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection
from halab.driver.site import Site
from halab.inventory import PatroniMember
from halab.waiting import eventually

pytest_plugins = ("tests.integration.citus_support",)
pytestmark = [
    pytest.mark.live, pytest.mark.citus, pytest.mark.destructive, pytest.mark.slow, pytest.mark.timeout(900),
]  # fmt: skip

Promised = Callable[[str, float, float, str], None]
WITHOUT_POWER_S = 40.0
TRANSFER_WITHIN_S = 200.0
NOTE = ("--note", "PREPARE")
HOLD_COMMIT = ("--hold-request", "^COMMIT PREPARED", *NOTE)
HOLD_PREPARED = ("--hold-answer", "^PREPARE TRANSACTION$", *NOTE)


@pytest.fixture(autouse=True)
def certified(citus: Citus) -> None:
    """The proxy shows the coordinator's certificate to the workers."""
    if len(citus.certificates) < len(("sslrootcert", "sslcert", "sslkey")):
        [(conninfo,)] = citus.ask(CONNINFO)
        pytest.skip(f"nodes of this cluster have no certificates for each other: citus.node_conninfo is {conninfo!r}")


class Transfer(threading.Thread):
    """Moves 10 from the one row to the other, and keeps what it was told: ok, fail or info."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(name="transfer", daemon=True)
        self._pair = pair
        self.outcome = ""
        self.said = ""
        self.start()

    def run(self) -> None:
        connection = Connection(self._pair.app)
        try:
            with connection.transaction(within_s=TRANSFER_WITHIN_S) as execute:
                execute(self._pair.moving(0, -10))
                execute(self._pair.moving(1, 10))
            self.outcome = "ok"
        except OperationFailed as error:
            self.outcome, self.said = error.outcome, str(error)
        finally:
            connection.close()

    def end(self) -> None:
        self.join(TRANSFER_WITHIN_S)
        assert not self.is_alive()


def require_prepared(held: Held, citus: Citus, pair: Pair) -> None:
    """Both workers have prepared, as the proxies and the workers themselves say; nobody sees anything of it."""
    prepared = citus.prepared()
    assert set(prepared) == {citus.primary(group).name for group in pair.groups}, prepared
    for group in pair.groups:
        assert "PREPARE TRANSACTION" in held.texts(group, "noted"), "the worker has answered"
    assert pair.values() == (100, 100)


def another_leads(citus: Citus, group: int, former: PatroniMember) -> None:
    eventually(
        lambda: citus.primary(group), accept=lambda leader: leader != former, every_s=0.5,
        within_s=failed_over_within_s(citus), what=f"another leader of group {group} than {former.name}",
    )  # fmt: skip


def recovered(citus: Citus, promised: Promised) -> None:
    """No transaction stays prepared for longer than the interval of recovery, once every group has a primary."""
    began = time.monotonic()
    within_s = recovered_within_s(citus)
    citus.wait_unprepared(within_s=within_s)
    words = "until nothing is prepared any more once every group has a primary; from citus.recover_2pc_interval"
    promised("citus_recovery_s", time.monotonic() - began, within_s, words)


class TestRecovery:
    def test_a_worker_dies_between_prepare_and_commit(
        self, whole: Citus, site: Site, pair: Pair, promised: Promised
    ) -> None:
        """The coordinator has decided, so its worker's successor, which has the prepared transaction too, commits."""
        group = pair.groups[0]
        victim = whole.primary(group)
        with holding(whole, site, *HOLD_COMMIT) as held:
            transfer = Transfer(pair)
            told = held.wait_held(pair.groups)
            assert all(text.startswith("COMMIT PREPARED 'citus_0_") for text in told.values()), told
            require_prepared(held, whole, pair)
            with broken(site, "power", target=victim.name, hold_s=WITHOUT_POWER_S):
                held.open()
                transfer.end()
                assert transfer.outcome == "info", f"the worker cannot have committed, said {transfer.said}"
                held.forget()
                another_leads(whole, group, victim)
                whole.settle(within_s=failed_over_within_s(whole))
                recovered(whole, promised)
                assert pair.values() == (90, 110)

    @pytest.mark.parametrize(
        ("hold", "final"),
        [
            pytest.param(HOLD_COMMIT, (90, 110), id="it has decided and told nobody"),
            pytest.param(HOLD_PREPARED, (100, 100), id="it has not decided"),
        ],
    )
    def test_the_coordinator_dies_and_its_successor_does_what_it_had_decided(
        self, whole: Citus, site: Site, pair: Pair, promised: Promised, hold: tuple[str, ...], final: tuple[int, int]
    ) -> None:
        """Both workers have prepared. A decision is on the standby, which commits in its place, or else rolls back."""
        victim = whole.primary(0)
        with holding(whole, site, *hold) as held:
            transfer = Transfer(pair)
            held.wait_held(pair.groups)
            require_prepared(held, whole, pair)
            with broken(site, "power", target=victim.name, hold_s=WITHOUT_POWER_S):
                transfer.end()
                assert transfer.outcome == "info", transfer.said
                another_leads(whole, 0, victim)
                held.forget()
                whole.settle(within_s=failed_over_within_s(whole))
                recovered(whole, promised)
                assert pair.values() == final
