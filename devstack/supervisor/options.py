"""What one asks of the local stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_STATE_DIR = Path(".paystream")


def say(line: str) -> None:
    """The default announcement: a line on standard output."""
    print(line, flush=True)


@dataclass(frozen=True)
class UpOptions:
    """`paystream up`'s flags.

    `brokers` 1 or 3; `workers` copies of the payments worker. `fallback_network`: a second
    network for what was certainly not sent to the first. `environment` is laid over the
    environment of our own processes (API, workers, console, simulators). `secure`: TLS, users and
    passwords everywhere. `announce` gets one line an event.
    """

    state_dir: Path = DEFAULT_STATE_DIR
    env_file: Path | None = None
    brokers: int = 1
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    fallback_network: bool = False
    secure: bool = False
    announce: Callable[[str], None] = say
