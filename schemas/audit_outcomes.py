"""What became of an administrative act: the `outcome` of records of audit.actions."""

from enum import StrEnum


class AuditOutcome(StrEnum):
    """What became of an administrative act."""

    APPLIED = "applied"
    REFUSED = "refused"
    REQUESTED = "requested"
    """Its outcome is an event elsewhere."""
