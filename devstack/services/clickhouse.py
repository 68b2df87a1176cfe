"""The process that owns chDB and answers as ClickHouse (`devstack.clickhouse_http`)."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from devstack.services.child import Launch
from devstack.services.http_probe import answers_ok
from devstack.services.ports import LOOPBACK


def launch(directory: Path, port: int, logs_dir: Path, engine_config: Path | None = None) -> Launch:
    """What to start; the directory is made by the process.

    `engine_config`: ClickHouse's own XML with storage policies or clusters.
    """
    more = ("--engine-config", str(engine_config)) if engine_config else ()
    module = ("-m", "devstack.clickhouse_http")
    return Launch(
        name="clickhouse",
        command=(sys.executable, *module, "--path", str(directory), "--port", str(port), *more),
        log_path=logs_dir / "clickhouse.log",
        ready=partial(answers_ok, f"{url(port)}/ping"),
        ready_timeout_seconds=120.0,
    )


def url(port: int) -> str:
    """The address for `CLICKHOUSE_URL` (user `default`)."""
    return f"http://{LOOPBACK}:{port}"


def analyst_url(port: int) -> str:
    """The address for the read-only user."""
    return f"http://analyst@{LOOPBACK}:{port}/paystream"
