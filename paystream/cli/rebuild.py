"""`paystream rebuild`: rebuilds a store from the log."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, error_console, print_error, print_json

if TYPE_CHECKING:
    from paystream.rebuild.checksums import Compared
    from paystream.rebuild.ledger import RebuildOptions, Rebuilt


def rebuild(
    what: Literal["status", "ledger"] = "status",
    *,
    force: bool = False,
    keep_expired: bool = False,
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """Build a store again from Kafka, beside a running stack.

    status: Valkey's payment views and command outcomes, from payments.events. An older view never
    takes the place of a newer one. Merchants need no rebuilding: every process reads them from the
    topic `merchants` when it starts.

    ledger: the ledger's tables in ClickHouse, from all topics of the audit sink, in a second
    database. Checksums of both sides are compared and printed; if they are the same, the new tables
    take the place of the old ones. Exit code 1 if they differ: then nothing is changed.

    Example: paystream rebuild ledger

    Args:
        what: status or ledger.
        force: ledger: swap also if tables differ; the replaced ones are kept in a database of
            their own.
        keep_expired: ledger: copy the rows from the live tables whose records Kafka has deleted.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    if what == "ledger":
        return _ledger(env, force=force, keep_expired=keep_expired, json=json)
    return _status(env, json=json)


def _status(env: Mapping[str, str], *, json: bool) -> int:
    from paystream.rebuild.status import RebuildFailed, rebuild_status

    need(env, "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")
    with error_console.status("reading payments.events") as status:

        def show(done: int, of: int) -> None:
            status.update(f"partition {done} of {of} is rebuilt")

        try:
            rebuilt = asyncio.run(rebuild_status(env, show))
        except RebuildFailed as error:
            raise CliError(str(error)) from error
    if json:
        print_json(msgspec.to_builtins(rebuilt))
    else:
        console.print(
            f"{rebuilt.payments} payments: {rebuilt.written} views written, the others were newer;"
            f" {rebuilt.outcomes} outcomes of commands",
            highlight=False,
        )
    return 0


def _ledger(env: Mapping[str, str], *, force: bool, keep_expired: bool, json: bool) -> int:
    from paystream.rebuild.ledger import RebuildOptions

    need(env, "KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL")
    with error_console.status("asking Kafka and ClickHouse") as status:
        show = _nothing if json else _print_compared
        rebuilt = _rebuilt(env, RebuildOptions(force, keep_expired, status.update, show))
    if json:
        print_json(_as_json(rebuilt))
    else:
        _print_end(rebuilt)
    if rebuilt.swapped:
        return 0
    print_error(
        f"{', '.join(rebuilt.examples)}: the live tables are not what Kafka says, nothing was"
        " changed. Find out why; --force swaps and keeps the replaced tables."
    )
    return 1


def _rebuilt(env: Mapping[str, str], options: "RebuildOptions") -> "Rebuilt":
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from paystream.rebuild.ledger import RebuildFailed, rebuild_ledger
    from runtime.kafka import TopicUnreadable
    from sinks.audit.store import LedgerUnavailable

    try:
        return rebuild_ledger(env, options)
    except (RebuildFailed, TopicUnreadable, LedgerUnavailable) as error:
        raise CliError(str(error)) from error
    except ClickHouseError as error:
        raise CliError(f"ClickHouse failed: {str(error).strip().splitlines()[0]}") from error


def _as_json(rebuilt: "Rebuilt") -> dict[str, object]:
    tables = [
        {
            "table": each.table,
            "rows_live": each.live.rows,
            "rows_rebuilt": each.rebuilt.rows,
            "checksum_live": each.live.digits,
            "checksum_rebuilt": each.rebuilt.digits,
            "same": each.same,
        }
        for each in rebuilt.tables
    ]
    return {**rebuilt._asdict(), "tables": tables}


def _nothing(tables: "Sequence[Compared]") -> None:
    """JSON is printed in one piece, at the end."""


def _print_compared(tables: "Sequence[Compared]") -> None:
    shown = Table("table", "side", "rows", "checksum (all columns but ingested_at)", "")
    for each in tables:
        verdict = "same" if each.same else "[red]different[/]"
        shown.add_row(each.table, "live", str(each.live.rows), each.live.digits, verdict)
        shown.add_row("", "rebuilt", str(each.rebuilt.rows), each.rebuilt.digits, "")
    console.print(shown)


def _print_end(rebuilt: "Rebuilt") -> None:
    for name, places in rebuilt.examples.items():
        console.print(f"{name} differs, for one at: {', '.join(places)}", highlight=False)
    for name, rows in rebuilt.kept_older.items():
        console.print(f"{name}: {rows} rows older than Kafka's log were copied", highlight=False)
    console.print(
        f"{rebuilt.records} records read, {rebuilt.unreadable} of them in the dead letters;"
        f" {'swapped in' if rebuilt.swapped else 'not swapped in'}",
        highlight=False,
    )
    if rebuilt.replaced:
        console.print(f"the replaced tables are in database {rebuilt.replaced}", highlight=False)
