"""What the command line asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`records` per throughput run, `restore_keys` of the restore, `runs` of everything;
    `outage_seconds` of ClickHouse."""

    records: int = 200_000
    restore_keys: int = 1_000_000
    runs: int = 3
    latency_seconds: int = 20
    with_quix: bool = False
    outage_seconds: int = 60
