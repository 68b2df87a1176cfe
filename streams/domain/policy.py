"""The times that rule a payment's life; settings, not law."""

from msgspec import Struct

_MS = 1000
_DAY_SECONDS = 86_400


class Policy(Struct, frozen=True, kw_only=True):
    """How long things may take. Two workers of one system must have the same.

    `decide` is a function of it: recomputing events needs the policy that they were made with.
    """

    authorization_valid_seconds: int = 7 * _DAY_SECONDS
    """An authorization that nobody captured expires after this."""
    action_timeout_seconds: int = 15 * 60
    """A customer who does not come back from 3-D Secure ends the payment after this."""
    network_timeout_seconds: int = 5 * 60
    """A network operation without any result is taken for unknown and asked about after this."""
    resolve_backoff_seconds: int = 5
    """First wait before the network is asked about an unknown outcome; doubles each time."""
    resolve_backoff_seconds_max: int = 6 * 3600
    """Longest wait between two such questions."""
    resolve_attempts_max: int = 60
    """After so many attempts (12 days by default) only a late answer or a actor resolves it."""
    capture_delay_seconds_max: int = 6 * _DAY_SECONDS
    """Longest delay of a background capture; shorter than the authorization is valid."""
    archive_after_seconds: int = 180 * _DAY_SECONDS
    """A payment in which nothing can happen by itself leaves the table so long after its last
    change; whatever comes for it later brings it back."""

    settlement_due_seconds: int = 5 * _DAY_SECONDS
    """The network is to have paid a capture by then; later the payment is marked as overdue."""

    def settlement_due_at_ms(self, now_ms: int) -> int:
        """When the network is to have paid what it captures now."""
        return now_ms + self.settlement_due_seconds * _MS

    def expires_at_ms(self, now_ms: int) -> int:
        """When an authorization of now expires."""
        return now_ms + self.authorization_valid_seconds * _MS

    def action_due_at_ms(self, now_ms: int) -> int:
        """When a customer who is asked now must be back."""
        return now_ms + self.action_timeout_seconds * _MS

    def answer_due_at_ms(self, now_ms: int, attempt: int) -> int | None:
        """When a question of now is given up on; None after the last attempt."""
        if attempt >= self.resolve_attempts_max:
            return None
        return now_ms + self.network_timeout_seconds * _MS

    def resolve_due_at_ms(self, now_ms: int, attempt: int) -> int | None:
        """When to ask again after attempt 1, 2, 3… stayed without outcome; None after the last."""
        if attempt >= self.resolve_attempts_max:
            return None
        doubled = self.resolve_backoff_seconds << min(attempt - 1, 40)
        return now_ms + min(doubled, self.resolve_backoff_seconds_max) * _MS
