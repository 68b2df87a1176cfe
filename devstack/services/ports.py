"""Loopback ports that a state directory keeps over restarts."""

from __future__ import annotations

import json
import os
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections (from 32768): nobody takes them by chance.
RANGE = (21_000, 31_999)
RANGE_VARIABLE = "PAYSTREAM_PORTS"
MAX_PORT = 65_535
TRIES_MAX = 500


class NoFreePortError(RuntimeError):
    """No loopback port could be found."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def accepts(port: int, timeout_seconds: float = 0.5) -> bool:
    """Whether somebody listens on this loopback port now."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def port_range() -> tuple[int, int]:
    """First and last port to choose from: RANGE, or RANGE_VARIABLE. Raises `NoFreePortError`."""
    text = os.environ.get(RANGE_VARIABLE)
    if not text:
        return RANGE
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) <= MAX_PORT):
        raise NoFreePortError(
            f"{RANGE_VARIABLE}={text!r} is no range of ports. Write it as 21000-31999."
        )
    return int(first), int(last)


def free_port(avoid: frozenset[int] = frozenset()) -> int:
    """A loopback port, free now, not in `avoid`; `NoFreePortError` after `TRIES_MAX` tries."""
    source = random.SystemRandom()
    first, last = port_range()
    for _ in range(TRIES_MAX):
        port = source.randint(first, last)
        if port not in avoid and is_free(port):
            return port
    raise NoFreePortError(
        f"No free port on {LOOPBACK} between {first} and {last} after {TRIES_MAX} tries. Stop"
        f" programs that listen there, or set {RANGE_VARIABLE}, such as {first}-{last}."
    )


class PortBook:
    """Names to ports, kept in a JSON file: the same name gets the same port after a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def claim(self, name: str) -> int:
        """The stored port of `name` if it is free, otherwise another one, stored before return."""
        port = self._ports.get(name)
        if port is not None and is_free(port):
            return port
        self._ports[name] = free_port(frozenset(self._ports.values()))
        self._save()
        return self._ports[name]

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self._ports, indent=1, sort_keys=True))
        draft.replace(self._path)
