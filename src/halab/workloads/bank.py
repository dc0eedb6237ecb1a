"""Bank: transfers between accounts in transactions of two updates, and reads of all balances at once.

With Citus the accounts can be distributed: most transfers are then transactions of two servers, prepared on both. Its
servers have no common snapshot, so that a read may see a transfer on one and not yet on the other; the checker knows
which can have been under way. After the load nothing may be left prepared when the money is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Once, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.routes import WHO, WRITE, SqlActor

TRANSFER: Final = "transfer"
READ: Final = "read"
DISTRIBUTED: Final = "distributed"
LARGEST: Final = 5
SHARE_OF_READS: Final = 0.3


class Bank(SqlActor):
    """Moves money, and sometimes counts it. A transfer that an account cannot afford fails."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("bank")
        self._accounts = range(setting.parameters["accounts"])
        table = f"{setting.suite.name}.accounts"
        self.distributed = setting.parameters["placement"] == DISTRIBUTED
        self._update = (_UPDATE_OF_SHARD if self.distributed else _UPDATE).format(table=table, who=WHO)
        self._balances = _BALANCES.format(table=table, who=WHO)
        self._begin = f"BEGIN ISOLATION LEVEL {setting.parameters['isolation']}"

    def next(self) -> Call | None:
        if self._chance.random() < SHARE_OF_READS:
            return Call(READ)
        source, target = self._chance.sample(self._accounts, 2)
        return Call(TRANSFER, value={"from": source, "to": target, "amount": self._chance.randint(1, LARGEST)})

    def call(self, call: Call) -> Answer:
        if call.f == READ:
            return self._read()
        asked: Any = call.value
        moves = sorted([(asked["from"], -asked["amount"]), (asked["to"], asked["amount"])])
        with self.connection.transaction(self._begin, within_s=OPERATION_WITHIN_S) as execute:
            # In the order of accounts, whoever pays: two transfers that cross would else wait for each other.
            for account, amount in moves:
                rows = execute(self._update, (amount, account))
                if not rows:
                    raise OperationFailed("fail", "no-row", f"account {account} is not there", reached=True)
                [(*who, balance)] = rows
                if balance < 0:
                    raise OperationFailed("fail", "insufficient", f"account {account} has too little", reached=True)
            if self.distributed:
                [[*who]] = execute(f"SELECT {WHO}")
        return self.answered(asked, tuple(who))

    def _read(self) -> Answer:
        [(*who, balances)] = self.connection.run(self._balances, within_s=OPERATION_WITHIN_S)
        return self.answered(balances, tuple(who))


class FinalRead(Once, Bank):
    """Counts the money once."""

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (there is one)
        if self.distributed:
            [(prepared,)] = self.connection.run(_PREPARED, within_s=OPERATION_WITHIN_S)
            if prepared:
                raise OperationFailed("fail", "prepared", f"{prepared} transactions are still prepared", reached=True)
        return self._read()


_UPDATE: Final = "UPDATE {table} SET balance = balance + %s WHERE id = %s RETURNING {who}, balance"
# What a shard returns must not depend on where it is computed: the coordinator is asked who it is on its own.
_UPDATE_OF_SHARD: Final = "UPDATE {table} SET balance = balance + %s WHERE id = %s RETURNING balance"
_PREPARED: Final = """
    SELECT coalesce(sum(result::int), 0) FROM run_command_on_all_nodes('SELECT count(*) FROM pg_prepared_xacts')
"""
_BALANCES: Final = """
    WITH found AS MATERIALIZED (SELECT id, balance FROM {table})
    SELECT {who}, (SELECT json_agg(json_build_array(id, balance) ORDER BY id) FROM found)
"""


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    last, opening = parameters["accounts"] - 1, parameters["opening"]
    shards = f"SELECT create_distributed_table('{{name}}.accounts', 'id', shard_count := {parameters['shards']})"
    return (
        "CREATE TABLE {name}.accounts (id int PRIMARY KEY, balance bigint NOT NULL)",
        *([shards] if parameters["placement"] == DISTRIBUTED else []),
        f"INSERT INTO {{name}}.accounts SELECT id, {opening} FROM generate_series(0, {last}) AS id",  # noqa: S608
    )


WORKLOAD: Final = Workload(
    name="bank",
    words="moves money between accounts in transactions, and counts it",
    kinds=(TRANSFER, READ),
    writes=(TRANSFER,),
    routes=WRITE,
    actor=Bank,
    resolver=FinalRead,
    tables=_tables,
    parameters={
        "accounts": Parameter(words="how many accounts there are", default=8, smallest=2, largest=1000),
        "opening": Parameter(words="what each has at first", default=100, smallest=0, largest=1e9),
        "isolation": Parameter(
            words="of transfers",
            default="read committed",
            choices=("read committed", "repeatable read", "serializable"),
        ),
        "placement": Parameter(
            words="of accounts: on one server, or over the workers of Citus",
            default="local",
            choices=("local", DISTRIBUTED),
        ),
        "shards": Parameter(words="how many shards distributed accounts have", default=8, smallest=1, largest=1000),
    },
)
