"""Counters of one worker."""

from __future__ import annotations

from typing import Any

import msgspec


class EngineStats(msgspec.Struct):
    """Since the start of the process. Times in seconds."""

    records: int = 0
    transactions: int = 0
    aborts: int = 0
    fenced: int = 0
    retries: int = 0
    dead_letters: int = 0
    replays_skipped: int = 0
    outputs: int = 0
    restores: int = 0
    restored_records: int = 0
    restore_seconds: float = 0.0
    commit_seconds: float = 0.0
    agent_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For metrics pages."""
        return msgspec.structs.asdict(self)
