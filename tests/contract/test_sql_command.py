"""`paystream sql`: one statement, standard input, and the prompt on a real terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paystream.cli.sql_prompt import completion
from runtime.store_connections import ClickHouseConnection
from sinks.audit.migrations import migrate
from sinks.audit.store import connect

pytestmark = pytest.mark.services

COMMAND = [sys.executable, "-m", "paystream.cli", "sql"]
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def env(clickhouse_url: str, tmp_path: Path) -> dict[str, str]:
    with connect(ClickHouseConnection(clickhouse_url), 60) as client:
        migrate(client)
    return {
        **os.environ,
        "CLICKHOUSE_URL": clickhouse_url,
        "ANALYST_CLICKHOUSE_URL": clickhouse_url.replace("://", "://analyst@"),
        "HOME": str(tmp_path),
        "COLUMNS": "120",
    }


def run(env: dict[str, str], *options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options], env=env, input=stdin, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_one_statement_as_a_table_with_brackets_and_nulls(env: dict[str, str]) -> None:
    done = run(
        env, "SELECT ['red', 'bold'] AS words, NULL AS nothing, 12.50::Decimal(9, 2) AS price"
    )
    assert done.returncode == 0, done.stderr
    assert "['red', 'bold']" in done.stdout
    assert "NULL" in done.stdout
    assert "12.50" in done.stdout
    assert "1 rows" in done.stderr


def test_a_format_and_standard_input(env: dict[str, str]) -> None:
    done = run(env, "--format", "JSONEachRow", stdin="SELECT number AS n\nFROM numbers(2);\n")
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [0, 1]
    assert run(env, "--format", "CSVWithNames", "SELECT 1 AS a").stdout == '"a"\n1\n'


def test_mistakes_are_sentences(env: dict[str, str]) -> None:
    wrong = run(env, "SELECT no_such_column FROM payments")
    assert wrong.returncode == 2
    assert "no_such_column" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert "standard input is empty" in run(env).stderr


def test_nothing_is_written_without_the_analysts_address(env: dict[str, str]) -> None:
    owner = {name: text for name, text in env.items() if name != "ANALYST_CLICKHOUSE_URL"}
    assert run(owner, "SELECT count() FROM payments").returncode == 0
    refused = run(owner, "DROP VIEW paystream.payments")
    assert refused.returncode == 2
    assert "readonly" in refused.stderr


def test_completion_knows_keywords_views_columns_and_functions() -> None:
    words = ["countIf(", "trial_balance", "transaction_id"]
    assert completion(words, "tr", 0) == "trial_balance"
    assert completion(words, "tr", 1) == "transaction_id"
    assert completion(words, "tr", 2) is None
    assert completion(words, "sel", 0) == "SELECT"
    assert completion(words, "COUNTI", 0) == "countIf("


class Terminal:
    """Somebody who types and reads."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_until(self, wanted: str) -> str:
        """Everything since the last time up to and with this text."""
        until = time.monotonic() + 40
        while wanted not in self._seen:
            assert time.monotonic() < until, self._seen
            if select.select([self._master], [], [], 0.1)[0]:
                self._seen += COLOURS.sub("", os.read(self._master, 65_536).decode())
        end = self._seen.index(wanted) + len(wanted)
        found, self._seen = self._seen[:end], self._seen[end:]
        return found


@contextmanager
def terminal(env: dict[str, str]) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        COMMAND, env={**env, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    try:
        yield Terminal(master), process
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_the_prompt_completes_describes_and_goes_on_after_a_mistake(env: dict[str, str]) -> None:
    with terminal(env) as (actor, process):
        actor.read_until("paystream> ")
        actor.type("SELECT count() AS found\nFROM trial_b\t\nWHERE 1;\n")
        shown = actor.read_until("1 rows")
        assert "FROM trial_balance" in shown
        assert "found" in shown
        actor.read_until("paystream> ")
        actor.type("SELECT nonsense;\n")
        assert "nonsense" in actor.read_until("paystream> ")
        actor.type("\\d freshness\n")
        assert "Partition -> highest offset" in actor.read_until("rows, ")
        actor.type("\\d\n")
        assert "reconciliation_breaks" in actor.read_until("rows, ")
        actor.read_until("paystream> ")
        actor.type("\x04")
        assert process.wait(20) == 0
    assert "trial_balance" in (Path(env["HOME"]) / ".paystream_sql_history").read_text()
