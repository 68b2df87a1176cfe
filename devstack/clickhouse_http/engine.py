"""The engine: the one owner of a chDB directory, asked by many threads.

chDB runs queries of several connections of one process at the same time, those of one connection
one after the other. So each request gets a connection of its own (0.3 ms), with its database and
settings, and nothing of it outlives the request. How many run at once is bounded; the others wait,
for a bounded time.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from devstack.clickhouse_http import analyst_rule
from devstack.clickhouse_http.errors import (
    TOO_MANY_SIMULTANEOUS_QUERIES,
    ClickHouseError,
    from_engine,
    refused,
)
from devstack.clickhouse_http.users import User

QUERIES_AT_ONCE_MAX = 8
QUEUE_WAIT_SECONDS_MAX = 30.0


class PathInUseError(RuntimeError):
    """Another process owns the directory."""


class Engine:
    """Opens the directory for this process alone; `PathInUseError` when it is taken.

    `config`: a ClickHouse configuration file with settings that SQL cannot change.
    """

    def __init__(self, path: Path, config: Path | None = None) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._lock_file = _take_lock(path)
        arguments = f"?config-file={config.resolve()}" if config else ""
        self._address = str(path.resolve()) + arguments
        self._slots = threading.BoundedSemaphore(QUERIES_AT_ONCE_MAX)
        self._keeps_open = self._connect()
        self.version = self._one_value("SELECT version()")
        self.timezone = self._one_value("SELECT timezone()")

    @contextmanager
    def connection(
        self, user: User, database: str | None, settings: Mapping[str, str], *, writes: bool
    ) -> Iterator[Any]:
        """A connection set up for one request of `user`; raises `ClickHouseError`."""
        with self._slot():
            connection = self._connect()
            try:
                _set_up(connection, user, database, settings, writes=writes)
                yield connection
            except ClickHouseError:
                raise
            except RuntimeError as error:  # what chdb raises, its ChdbError included
                raise from_engine(error) from error
            except Exception as error:
                if type(error).__module__.startswith("chdb"):
                    raise from_engine(error) from error
                raise
            finally:
                with suppress(Exception):  # a connection in an error state may refuse to close
                    connection.close()

    def databases(self) -> frozenset[str]:
        """All databases that exist, for every user."""
        return frozenset(self._one_value("SHOW DATABASES").split())

    def close(self) -> None:
        """Close the directory; wait for running requests first (the server does)."""
        self._keeps_open.close()
        self._lock_file.close()

    def _connect(self) -> Any:
        from chdb.state.sqlitelike import Connection

        return Connection(self._address)

    def _one_value(self, sql: str) -> str:
        return str(self._keeps_open.query(sql, "TSVRaw").bytes().decode().strip())

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=QUEUE_WAIT_SECONDS_MAX):
            raise refused(
                TOO_MANY_SIMULTANEOUS_QUERIES,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                f"Too many simultaneous queries: {QUERIES_AT_ONCE_MAX} are running and none ended"
                f" within {QUEUE_WAIT_SECONDS_MAX:.0f} s. Try again.",
            )
        try:
            yield
        finally:
            self._slots.release()


def _take_lock(path: Path) -> TextIO:
    lock = (path / "owner.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise PathInUseError(
            f"{path} is already served by another process (pid {owner}): stop it or take another"
            " directory."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _set_up(
    connection: Any, user: User, database: str | None, settings: Mapping[str, str], *, writes: bool
) -> None:
    limits = {
        "max_execution_time": str(user.max_execution_seconds),
        "max_memory_usage": str(user.memory_bytes_max),
    }
    if user.read_only:
        settings = analyst_rule.permitted_settings(settings, limits)
        analyst_rule.check_database(database)
    _use(connection, user, database)
    _apply(connection, {**limits, **settings})
    if user.read_only:
        _apply(connection, {"additional_table_filters": analyst_rule.CATALOGUE_FILTERS})
        _apply(connection, {"readonly": "1"})
    elif not writes and "readonly" not in settings:
        _apply(connection, {"readonly": "2"})


def _use(connection: Any, user: User, database: str | None) -> None:
    if database and not (user.default_database and database == "default"):
        connection.query(f"USE {_quoted(database, '`')}", "Null")
    elif user.default_database:
        with suppress(Exception):  # before the first migration there is no such database
            connection.query(f"USE {_quoted(user.default_database, '`')}", "Null")


def _apply(connection: Any, settings: Mapping[str, str]) -> None:
    pairs = ", ".join(f"{_quoted(k, '`')} = {_quoted(v, chr(39))}" for k, v in settings.items())
    connection.query(f"SET {pairs}", "Null")


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
