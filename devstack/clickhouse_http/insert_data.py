"""Hand the rows of an insert to the engine as a file.

chDB's streaming insert (`send_insert`) answers success also when a constraint or a materialized
view refuses the rows, so it is not used here; `INSERT … FROM INFILE` reports every error.
"""

from __future__ import annotations

import mmap
import os
import re
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from devstack.clickhouse_http.sql_text import InsertHead, masked

_SETTINGS = re.compile(r"\bSETTINGS\b", re.IGNORECASE)


CAN_MAP = hasattr(os, "memfd_create")


class Mapped(mmap.mmap):
    """Bytes of a file that is in memory alone, and the path under which this process reads it."""

    path: str

    @classmethod
    def empty(cls, size: int) -> Mapped:
        """To be written to; the file is gone when nobody holds the object any more."""
        descriptor = os.memfd_create("insert")
        os.ftruncate(descriptor, size)
        mapped = cls(descriptor, size)
        mapped.path = f"/proc/self/fd/{descriptor}"
        weakref.finalize(mapped, os.close, descriptor)
        return mapped


def received(size: int, read_into: Callable[[memoryview], int | None]) -> Mapped:
    """What the socket gives, without a copy between it and the file that the engine reads.

    Raises ConnectionError when it gives less.
    """
    mapped = Mapped.empty(size)
    with memoryview(mapped) as target:
        if read_into(target) != size:
            raise ConnectionError("the client closed in the middle of its request")
    return mapped


@contextmanager
def readable_by_path(data: memoryview) -> Iterator[str]:
    """A path under which this process reads the data: memory on Linux, else a temporary file."""
    if isinstance(data.obj, Mapped) and data.nbytes == len(data.obj):
        yield data.obj.path
    elif CAN_MAP:
        with open(os.memfd_create("insert"), "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            _write_all(file.fileno(), data)
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="paystream-insert-") as named:
            named.write(data)
            named.flush()
            yield named.name


def statement(head: InsertHead, path: str) -> str:
    """The insert that reads its rows from `path`; FROM INFILE stands before SETTINGS."""
    found = _SETTINGS.search(masked(head.text))
    at = found.start() if found else len(head.text)
    source = f" FROM INFILE '{path}' COMPRESSION 'none' "
    return f"{head.text[:at]}{source}{head.text[at:]} FORMAT {head.format_name}"


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
