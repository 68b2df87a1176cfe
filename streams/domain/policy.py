"""Times and limits of a payment's life, as settings."""

from msgspec import Struct

from schemas.payment_commands import CAPTURE_DELAY_SECONDS_MAX

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
    """A network operation without a result is unknown after this; a status inquiry follows."""
    status_inquiry_backoff_seconds: int = 5
    """First wait before a status inquiry about an unknown outcome; doubles each time."""
    status_inquiry_backoff_seconds_max: int = 6 * 3600
    """Longest wait between two status inquiries."""
    status_inquiry_attempts_max: int = 60
    """After so many attempts (12 days by default) only a late result or an operator resolves it."""
    archive_after_seconds: int = 180 * _DAY_SECONDS
    """An inactive payment is archived this long after its last change; a later command for it
    restores it."""

    settlement_due_seconds: int = 5 * _DAY_SECONDS
    """The network should have paid a capture by then; later its settlement is overdue."""

    @property
    def capture_delay_seconds_max(self) -> int:
        """Longest delay of a background capture; shorter than the authorization is valid."""
        return min(CAPTURE_DELAY_SECONDS_MAX, self.authorization_valid_seconds - 1)

    def settlement_due_at_ms(self, now_ms: int) -> int:
        """When the network should have paid what it captures now."""
        return now_ms + self.settlement_due_seconds * _MS

    def expires_at_ms(self, now_ms: int) -> int:
        """When an authorization of now expires."""
        return now_ms + self.authorization_valid_seconds * _MS

    def action_due_at_ms(self, now_ms: int) -> int:
        """When a customer who is asked now must be back."""
        return now_ms + self.action_timeout_seconds * _MS

    def result_due_at_ms(self, now_ms: int, attempt: int) -> int | None:
        """When an attempt of now counts as unknown; None after the last attempt."""
        if attempt >= self.status_inquiry_attempts_max:
            return None
        return now_ms + self.network_timeout_seconds * _MS

    def status_inquiry_due_at_ms(self, now_ms: int, attempt: int) -> int | None:
        """When the next status inquiry is due after attempt 1, 2, 3…; None after the last."""
        if attempt >= self.status_inquiry_attempts_max:
            return None
        doubled = self.status_inquiry_backoff_seconds << min(attempt - 1, 40)
        return now_ms + min(doubled, self.status_inquiry_backoff_seconds_max) * _MS
