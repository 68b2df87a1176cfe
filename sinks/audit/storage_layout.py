"""Sharding and cold storage of the ledger: section [ledger].

Migrations are rendered with it when they are applied (migrations/rendering.py).
"""

from typing import Annotated

import msgspec

LOCAL_SUFFIX = "_local"
"""On a cluster the rows of `payment_events` are in `payment_events_local` of each shard."""

_Identifier = Annotated[str, msgspec.Meta(pattern=r"\A([A-Za-z_][A-Za-z0-9_-]*)?\Z")]


class Layout(msgspec.Struct, frozen=True):
    """Cluster and volumes of the tables. The default: one server, one volume."""

    cluster: _Identifier = ""
    """Name of the cluster in the servers' `remote_servers`; empty: one server."""
    storage_policy: _Identifier = ""
    """Storage policy of the tables; empty: the server's default."""
    cold_volume: _Identifier = "cold"
    """Volume of that policy for old rows."""
    cold_after_days: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """Rows move to the cold volume when they are that old; 0: never. (A TTL ends before 2106.)"""

    @property
    def on_cluster(self) -> str:
        """The clause, with a space before it, or nothing."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def local(self, table: str) -> str:
        """The table that holds the rows: on this server, or on each shard."""
        return f"{table}{LOCAL_SUFFIX}" if self.cluster else table

    def ttl(self, time_column: str) -> str:
        """The expression after TTL; empty if rows stay where they are."""
        if not self.cold_after_days:
            return ""
        return (
            f"toDateTime({time_column}) + toIntervalDay({self.cold_after_days})"
            f" TO VOLUME '{self.cold_volume}'"
        )


ONE_SERVER = Layout()
