"""An append-only log of JSON lines; an append is done when fsync returned.

Appends that arrive while a flush runs share the next one (group commit). Lines keep the order of
their appends, so a durable line has all earlier ones before it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec


class JournalError(RuntimeError):
    """The log cannot be read or written; the sentence says where and what to do."""


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a log in order; a last line torn by a kill is left out, any other is an error."""
    if not path.exists():
        return
    with path.open("rb") as log:
        for number, line in enumerate(log, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                raise JournalError(
                    f"{path} line {number} cannot be read ({error}). The file was changed by"
                    " another program. Restore it, or start with an empty state directory."
                ) from error


class Journal:
    """One open log; use it from one event loop."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._drop_torn_line()
        self._sync_directory()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._lines: list[bytes] = []
        self._durable: asyncio.Future[None] | None = None
        self._newest: asyncio.Future[None] | None = None
        self._flushing: asyncio.Task[None] | None = None
        self.failure: str | None = None

    def append(self, record: Mapping[str, object]) -> asyncio.Future[None]:
        """Queue a record; the future resolves when it is durable. `JournalError` after a failure.

        The queue is bounded by the server's limit of requests in flight.
        """
        if self.failure:
            raise JournalError(self.failure)
        self._lines.append(msgspec.json.encode(record) + b"\n")
        if self._durable is None:
            self._durable = self._newest = asyncio.get_running_loop().create_future()
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return self._durable

    async def flushed(self) -> None:
        """Wait until everything appended so far is durable."""
        if self.failure:
            raise JournalError(self.failure)
        if self._newest is not None:
            await asyncio.shield(self._newest)

    async def close(self) -> None:
        """Flush and close; the journal takes no more records."""
        if self._flushing is not None:
            await asyncio.shield(self._flushing)
        self.failure = self.failure or f"{self.path} is closed."
        self._writer.shutdown()
        self._file.close()

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._lines and self._durable is not None:
            lines, durable = self._lines, self._durable
            self._lines, self._durable = [], None
            try:
                await loop.run_in_executor(self._writer, self._write, b"".join(lines))
            except OSError as error:
                self._fail(durable, error)
                break
            durable.set_result(None)
        self._flushing = None

    def _fail(self, durable: asyncio.Future[None], error: OSError) -> None:
        self.failure = (
            f"{self.path} cannot be written ({error}): free disk space, then restart this process."
        )
        for future in (durable, self._durable):
            if future is not None:
                future.set_exception(JournalError(self.failure))
                future.exception()  # marks it as seen: not everybody waits for durability

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file.fileno(), view) :]
        os.fsync(self._file.fileno())

    def _drop_torn_line(self) -> None:
        data_end = 0
        with self.path.open("rb") as log:
            for line in log:
                data_end += len(line) if line.endswith(b"\n") else 0
        self._file.truncate(data_end)

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
