"""The analysts' sample questions give the answers that stand in their page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from contract.ledger_scenario import a_day_at_the_shop, insert

from paystream.generate.views_page import views, views_page
from runtime.store_connections import ClickHouseConnection
from sinks.audit.ledger import CHART
from sinks.audit.migrations import migrate
from sinks.audit.settings import DatabaseNames
from sinks.audit.store import LedgerStore, connect

pytestmark = pytest.mark.services

DOCS = Path(__file__).resolve().parents[2] / "docs" / "analysts"
QUESTION = re.compile(r"^## (\d+\. .+?)\n.*?```sql\n(.+?)```\n\n(.+?)\n(?=\n## |\Z)", re.S | re.M)
QUESTIONS = QUESTION.findall((DOCS / "questions.md").read_text())


@pytest.fixture(scope="module")
def analyst(clickhouse_url: str) -> Iterator[Client]:
    """A client in the views' database of a shop's ledger."""
    databases = DatabaseNames("questions_raw", "questions")
    with connect(ClickHouseConnection(clickhouse_url), 60) as client:
        migrate(client, databases)
        store = LedgerStore(ClickHouseConnection(clickhouse_url), databases, 60)
        insert(store, a_day_at_the_shop())
        store.close()
        client.database = databases.views
        yield client
        for name in (databases.raw, databases.views):
            client.command(f"DROP DATABASE {name} SYNC")


def as_table(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A result as the page shows it."""
    if not rows:
        return "No rows."
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


@pytest.mark.parametrize(
    ("question", "sql", "answer"), QUESTIONS, ids=[question for question, *_ in QUESTIONS]
)
def test_the_answer_is_the_pages(analyst: Client, question: str, sql: str, answer: str) -> None:
    result = analyst.query(sql)
    found = as_table(result.column_names, [tuple(row) for row in result.result_rows])
    assert found == answer


def test_no_question_was_missed() -> None:
    text = (DOCS / "questions.md").read_text()
    assert len(QUESTIONS) == text.count("```sql") == text.count("\n## ")
    assert len(QUESTIONS) >= 20


def test_the_page_of_views_is_what_the_migrations_say() -> None:
    assert (DOCS / "views.md").read_text() == views_page(), (
        "docs/analysts/views.md is stale: run `make generate`"
    )


def test_the_page_of_views_is_what_the_engine_says(analyst: Client) -> None:
    found = analyst.query(
        "SELECT table, name, type, comment FROM system.columns"
        f" WHERE database = '{analyst.database}' ORDER BY table, position"
    ).result_rows
    told = [(v.name, c.name, c.type, c.comment) for v in views() for c in v.columns]
    assert sorted(tuple(row) for row in found) == sorted(told)


def test_the_page_shows_the_chart_of_accounts() -> None:
    page = (DOCS / "README.md").read_text()
    for account, (account_class, meaning) in CHART.items():
        assert f"| `{account}` | {account_class} | {meaning} |" in page


def test_the_read_only_user_reads_every_view_and_no_table(clickhouse_url: str) -> None:
    with connect(ClickHouseConnection(clickhouse_url), 60) as client:
        migrate(client)
    names = DatabaseNames()
    with clickhouse_connect.get_client(
        dsn=clickhouse_url, username="analyst", database=names.views
    ) as analyst:
        for view in views():
            analyst.query(f"SELECT * FROM {view.name} LIMIT 1")
        with pytest.raises(ClickHouseError, match=r"(?i)access|denied|privileges"):
            analyst.query(f"SELECT * FROM {names.raw}.ledger_entries")
        with pytest.raises(ClickHouseError, match=r"(?i)readonly"):
            analyst.command(f"DROP VIEW {names.views}.payments")
