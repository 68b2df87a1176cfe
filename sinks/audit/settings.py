"""Settings of the audit sink: section [audit] of the configuration, PAYSTREAM_AUDIT_* variables."""

import re
from typing import Annotated, Any

import msgspec

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class DatabaseNames(msgspec.Struct, frozen=True):
    """The database that the sink writes and the one that analysts read. Raises ValueError."""

    raw: str = "paystream_raw"
    views: str = "paystream"

    def __post_init__(self) -> None:
        for name in (self.raw, self.views):
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot name a database. Use letters, digits and underscores."
                )
        if self.raw == self.views:
            raise ValueError("The raw and the views database are the same. They must be two.")


class AuditSettings(msgspec.Struct, frozen=True):
    """Settings of the audit sink."""

    raw_database: str = "paystream_raw"
    views_database: str = "paystream"
    insert_timeout_seconds: Annotated[int, msgspec.Meta(ge=1)] = 60
    cycle_records_max: Annotated[int, msgspec.Meta(ge=1)] = 160_000
    """Records of one Kafka transaction."""
    cycle_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 96 * 1024 * 1024
    """Bytes of these records."""
    cycle_linger_seconds: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    """How long a poll waits for more records: fewer and larger inserts, that much later."""
    insert_records_max: Annotated[int, msgspec.Meta(ge=1)] = 40_000
    """Records of one insert; while it runs, the next one is built."""
    retry_seconds: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    """First pause while ClickHouse is unavailable; it doubles."""
    retry_seconds_max: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """Longest pause while ClickHouse is unavailable; a long pause costs freshness."""
    chain_key_dir: str = ""
    """Keys of the hash chain's checkpoints; empty: `ledger-keys` in the state directory."""
    checkpoint_interval_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """How often a checkpoint is written for rows that none covers yet."""
    freshness_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """How often the sink writes its lag into ClickHouse, for the view `freshness`."""

    @property
    def databases(self) -> DatabaseNames:
        """Names of both databases, checked. Raises ValueError."""
        return DatabaseNames(self.raw_database, self.views_database)

    @property
    def engine(self) -> dict[str, Any]:
        """Engine settings that differ from those of other workers: fewer and larger inserts."""
        return {
            "batch_records_max": self.cycle_records_max,
            "batch_bytes_max": self.cycle_bytes_max,
            "batch_linger_seconds": self.cycle_linger_seconds,
            "prefetch_records": self.cycle_records_max,
        }
