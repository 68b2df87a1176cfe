"""Settings of the three workers of this room: defaults, sections and units."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from runtime.settings import ConfigurationError, load
from streams.domain.merchants import MerchantPolicy
from streams.domain.policy import Policy


class DeadlineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [deadlines], PAYSTREAM_DEADLINES_*."""

    interval_seconds: float = 0.5
    """How often the table is checked for due deadlines."""
    sends_max: int = 500
    """Commands sent per interval; the rest waits for the next."""
    resend_after_seconds: float = 30.0
    """A command without visible effect is not sent again before this."""
    in_flight_max: int = 5_000
    """Commands that were sent and have no visible effect yet."""


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [archive], PAYSTREAM_ARCHIVE_*; the age of archived payments is in [payments]."""

    scan_interval_seconds: float = 3600.0
    """From the start of one scan of all payments to the start of the next."""
    scan_entries_max: int = 1_000
    """Payments checked per interval."""
    interval_seconds: float = 0.5
    """How often a scan continues."""


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [history], PAYSTREAM_HISTORY_*: requests to ClickHouse for archived payments."""

    views_database: Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] = "paystream"
    """Database of the view `payment_events`."""
    timeout_seconds: int = 30
    """To connect, and for each query."""
    in_flight_max: int = 8
    """Requests in flight per worker."""
    retry_seconds: float = 0.5
    """First pause while ClickHouse is unavailable, lags, or returns a history that does not match;
    it doubles."""
    retry_seconds_max: float = 600.0
    """Longest pause; the parallel consumer retries every 30 s at the latest."""


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [network], PAYSTREAM_NETWORK_*."""

    timeout_seconds: float = 3.0
    """One HTTP call, from the connection to the last byte of the response."""
    attempts_max: int = 4
    """Calls for one request, with the same idempotency key; then comes a status inquiry."""
    backoff_seconds: float = 0.2
    """The first pause between two calls is drawn from 0 to this; the bound doubles each time."""
    backoff_seconds_max: float = 5.0
    """Largest bound of a pause."""
    in_flight_max: int = 200
    """Requests in flight, and connections to the network, per worker."""
    not_found_timeout_seconds: float = 120.0
    """An authorization that the network does not know this long after its request has failed."""
    fallback_ownership_margin_seconds: float = 5.0
    """An authorization goes to the fallback network only if it was requested this long after the
    partition was assigned to this worker: clocks differ, and an earlier owner may have called."""
    breaker_window_calls: int = 20
    """The circuit breaker counts the failures of this many last calls."""
    breaker_failure_ratio: float = 0.5
    """It opens at this share of failures."""
    breaker_open_seconds: float = 5.0
    """Nothing is sent while it is open; then one trial call."""

    @property
    def call_seconds_max(self) -> float:
        """The longest time of one request: status, operation, status, with all their attempts."""
        return 3 * self.attempts_max * (self.timeout_seconds + self.backoff_seconds_max)


def policy(env: Mapping[str, str]) -> Policy:
    """The lifecycle's times; section [payments], PAYSTREAM_PAYMENTS_*.

    Raises ConfigurationError.
    """
    chosen = load(Policy, "payments", env)
    smallest = min(msgspec.structs.astuple(chosen))
    if smallest <= 0:
        raise ConfigurationError(
            "[payments]: A time or number is 0 or less. Set each of them above 0."
        )
    return chosen


def merchant_policy(env: Mapping[str, str]) -> MerchantPolicy:
    """What merchants get by default; section [merchants], PAYSTREAM_MERCHANTS_*."""
    return load(MerchantPolicy, "merchants", env)
