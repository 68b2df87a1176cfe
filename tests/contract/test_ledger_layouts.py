"""The migrations on a cluster and with a cold volume, as far as the embedded engine can tell.

It has no Keeper, so `ON CLUSTER` and Replicated engines are parsed only. Distributed tables work
over one shard that is the engine itself, and a storage policy comes from its configuration file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from contract.ledger_scenario import NEXT_DAY_MS, a_day_at_the_shop, insert

from devstack.services import clickhouse
from devstack.services.child import Child
from devstack.services.ports import free_port
from paystream.generate.views_page import views
from runtime.store_connections import ClickHouseConnection
from sinks.audit.migrations import load_migrations, migrate, plan, rendered_statements
from sinks.audit.settings import DatabaseNames
from sinks.audit.storage_layout import ONE_SERVER, Layout
from sinks.audit.store import LedgerStore, connect

pytestmark = pytest.mark.services

CLUSTER = Layout(cluster="pay", storage_policy="tiered", cold_after_days=90)
COLD = Layout(storage_policy="tiered", cold_after_days=90)
CONFIG = """
<clickhouse>
  <path>{path}/</path>
  <tcp_port>9000</tcp_port>
  <remote_servers><pay>
    <shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard>
  </pay></remote_servers>
  <storage_configuration>
    <disks><slow><type>local</type><path>{path}_slow/</path></slow></disks>
    <policies><tiered><volumes>
      <default><disk>default</disk></default>
      <cold><disk>slow</disk></cold>
    </volumes></tiered></policies>
  </storage_configuration>
</clickhouse>
"""


class Server:
    """An engine with a cold volume and a cluster of one shard, which is itself."""

    def __init__(self, directory: Path) -> None:
        data, config = directory / "data", directory / "engine.xml"
        config.write_text(CONFIG.format(path=data))
        (directory / "data_slow").mkdir()
        port = free_port()
        self.child = Child(clickhouse.launch(data, port, directory, config))
        self.child.wait_ready()
        self.url = clickhouse.url(port)
        self.client: Client = connect(ClickHouseConnection(self.url), 60)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(sql).result_rows]

    def shop(self, names: DatabaseNames, ingested_at_ms: int = NEXT_DAY_MS) -> None:
        store = LedgerStore(ClickHouseConnection(self.url), names, 60)
        insert(store, a_day_at_the_shop(), ingested_at_ms)
        store.close()

    def shown(self, names: DatabaseNames) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the views show, but for what follows from the time of the insert."""
        moving = {"ingested_at", "last_ingested_at", "delay_seconds", "idle_seconds"}
        return {
            view.name: self.ask(
                f"SELECT {', '.join(c.name for c in view.columns if c.name not in moving)}"
                f" FROM {names.views}.{view.name} ORDER BY ALL"
            )
            for view in views()
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("layouts"))
    yield made
    made.client.close()
    made.child.kill_group()


@pytest.mark.parametrize("layout", [ONE_SERVER, COLD, CLUSTER], ids=["one", "cold", "cluster"])
def test_every_statement_parses(server: Server, layout: Layout) -> None:
    for statement in plan(server.client, DatabaseNames("none_raw", "none"), layout):
        quoted = statement.replace("\\", "\\\\").replace("'", "\\'")
        assert server.ask(f"SELECT formatQuery('{quoted}')")
    with pytest.raises(Exception, match="Syntax error"):
        server.ask("SELECT formatQuery('CREATE TABLE t (a UInt8) TTL TO VOLUME')")


def test_the_checksum_is_the_files_whatever_the_layout(server: Server) -> None:
    names = DatabaseNames("checksum_raw", "checksum")
    migrate(server.client, names, layout=COLD)
    assert migrate(server.client, names) == []
    noted = dict(server.ask("SELECT name, checksum FROM checksum_raw.migrations"))
    assert noted == {each.name: each.checksum for each in load_migrations()}


def test_views_over_distributed_tables_show_the_same(server: Server) -> None:
    """As on a cluster, but for what needs a Keeper: that is taken out of the statements."""
    one, spread = DatabaseNames("one_raw", "one"), DatabaseNames("spread_raw", "spread")
    migrate(server.client, one)
    files = load_migrations()
    server.client.command("CREATE DATABASE spread_raw")
    for each in files:
        for statement in rendered_statements(each, files, spread, Layout(cluster="pay")):
            alone = statement.replace(" ON CLUSTER 'pay'", "").replace("= Replicated", "= ")
            server.client.command(alone)
    server.shop(one)
    for repetition in range(2):
        server.shop(spread, NEXT_DAY_MS + repetition)
    assert server.shown(spread) == server.shown(one)
    kept = server.ask("SELECT count() FROM spread_raw.ledger_entries_local")
    assert kept > server.ask("SELECT count() FROM one_raw.ledger_entries")
    without = server.ask(
        "SELECT table, name FROM system.columns WHERE database = 'spread_raw' AND comment = ''"
        " AND table IN (SELECT name FROM system.tables WHERE engine = 'Distributed')"
    )
    assert without == []


def test_old_rows_move_to_the_cold_volume(server: Server) -> None:
    names = DatabaseNames("cold_raw", "cold")
    migrate(server.client, names, layout=Layout(storage_policy="tiered", cold_after_days=10_000))
    server.shop(names)
    disks = "SELECT DISTINCT disk_name FROM system.parts WHERE active AND database = 'cold_raw'"
    entries = f"{disks} AND table = 'ledger_entries'"
    assert server.ask(entries) == [("default",)]
    before = server.shown(names)
    server.client.command(
        "INSERT INTO cold_raw.ledger_entries (merchant_id, transaction_id, occurred_at)"
        " VALUES ('mer_old', 'old', '2020-01-01')"
    )
    assert migrate(server.client, names, layout=COLD) == []
    until = time.monotonic() + 30
    while ("slow",) not in server.ask(entries):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert server.ask("SELECT count() FROM cold.ledger_entries WHERE merchant_id = 'mer_old'") == [
        (1,)
    ]
    server.client.command(
        "ALTER TABLE cold_raw.ledger_entries DELETE WHERE merchant_id = 'mer_old'"
        " SETTINGS mutations_sync = 1"
    )
    after = server.shown(names)
    assert {name for name in before if before[name] != after[name]} == {"freshness"}


def test_a_changed_ttl_is_given_to_the_tables_that_exist(server: Server) -> None:
    names = DatabaseNames("changed_raw", "changed")
    migrate(server.client, names)
    assert plan(server.client, names, ONE_SERVER) == []
    wanted = plan(server.client, names, COLD)
    assert any("MODIFY TTL toDateTime(occurred_at) + toIntervalDay(90)" in text for text in wanted)
    migrate(server.client, names, layout=COLD)
    assert plan(server.client, names, COLD) == []
    ends = [text.split()[-2:] for text in plan(server.client, names, ONE_SERVER)]
    assert ends
    assert all(end == ["REMOVE", "TTL"] for end in ends)
    migrate(server.client, names)
    assert plan(server.client, names, ONE_SERVER) == []
