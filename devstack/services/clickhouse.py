"""The process that owns chDB and answers as ClickHouse (`devstack.clickhouse_http`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from devstack.services.certificates import Certificates
from devstack.services.child import Launch
from devstack.services.http_probe import answers_ok
from devstack.services.ports import LOOPBACK


def launch(
    directory: Path,
    port: int,
    logs_dir: Path,
    engine_config: Path | None = None,
    certificates: Certificates | None = None,
    passwords: Mapping[str, str] | None = None,
) -> Launch:
    """What to start; the directory is made by the process.

    `engine_config`: ClickHouse's own XML with storage policies or clusters. `certificates`: it
    speaks TLS. `passwords`: variables with those of its users.
    """
    more: tuple[str, ...] = ("--engine-config", str(engine_config)) if engine_config else ()
    if certificates is not None:
        files = (certificates.certificate_file, certificates.key_file)
        more += ("--certificate", str(files[0]), "--key", str(files[1]))
    address = _address(port, certificates)
    ca_file = certificates.ca_file if certificates is not None else None
    module = ("-m", "devstack.clickhouse_http")
    return Launch(
        name="clickhouse",
        command=(sys.executable, *module, "--path", str(directory), "--port", str(port), *more),
        log_path=logs_dir / "clickhouse.log",
        environment=passwords or {},
        ready=partial(answers_ok, f"{address}/ping", ca_file),
        ready_timeout_seconds=120.0,
    )


def url(port: int, certificates: Certificates | None = None) -> str:
    """The address for `CLICKHOUSE_URL` (user `default`)."""
    return _address(port, certificates)


def analyst_url(port: int, certificates: Certificates | None = None) -> str:
    """The address for the read-only user."""
    scheme, _, rest = _address(port, certificates).partition("://")
    return f"{scheme}://analyst@{rest}/paystream"


def _address(port: int, certificates: Certificates | None) -> str:
    return f"{'http' if certificates is None else 'https'}://{LOOPBACK}:{port}"
