"""Errors of the command path; `ingest_api.http.app` maps each to a problem of the catalogue."""

_RETRY_SECONDS = 2


class CommandError(Exception):
    """The command was not accepted, or ended in a rejection."""


class IdempotencyMismatch(CommandError):
    """The idempotency key was used before for another request."""


class PaymentNotFound(CommandError):
    """The payment does not exist, or it belongs to another merchant or mode."""


class PaymentUnknown(PaymentNotFound):
    """Valkey knows neither the payment nor its create. It may have lost both."""


class CommandRejected(CommandError):
    """The payment's state machine rejected the command; `reason` is a RejectionReason."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(f"The payment rejected the command: {reason}.")
        self.reason = reason


class Overloaded(CommandError):
    """Kafka did not acknowledge the record; the same request may be sent again."""

    def __init__(self, detail: str = "", retry_after_seconds: int = _RETRY_SECONDS) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class StatusUnavailable(CommandError):
    """Valkey does not answer, or a call failed a moment ago and calls are paused."""


class PaymentNotReadable(CommandError):
    """The payment cannot be read yet; the same request succeeds once its view is there."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = _RETRY_SECONDS
