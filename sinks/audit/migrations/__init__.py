"""Numbered SQL files that make the ledger's tables and views, and the runner that applies them.

They are the same for one server and for a cluster: `rendering` puts the difference in.
The first comment of a file says what it does. `${raw}` and `${views}` stand for the two databases.
A file that was applied is never changed: the next change is a file with the next number.
"""

from sinks.audit.migrations.runner import (
    AppliedMigrationChanged,
    Migration,
    MigrationStatus,
    load_migrations,
    migrate,
    plan,
    rendered_statements,
    statuses,
)

__all__ = [
    "AppliedMigrationChanged",
    "Migration",
    "MigrationStatus",
    "load_migrations",
    "migrate",
    "plan",
    "rendered_statements",
    "statuses",
]
