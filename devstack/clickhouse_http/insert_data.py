"""Hand the rows of an insert to the engine as a file.

chDB's streaming insert (`send_insert`) answers success also when a constraint or a materialized
view refuses the rows, so it is not used here; `INSERT … FROM INFILE` reports every error.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from devstack.clickhouse_http.sql_text import InsertHead, masked

_SETTINGS = re.compile(r"\bSETTINGS\b", re.IGNORECASE)


@contextmanager
def readable_by_path(data: memoryview) -> Iterator[str]:
    """A path under which this process reads the data: memory on Linux, else a temporary file."""
    if hasattr(os, "memfd_create"):
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
