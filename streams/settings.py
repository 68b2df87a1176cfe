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
    """How often the table is asked what is due."""
    sends_max: int = 500
    """Commands sent per interval; the rest waits for the next."""
    resend_after_seconds: float = 30.0
    """A command that was sent and had no effect yet is not sent again before this."""
    in_flight_max: int = 5_000
    """Commands that are remembered as sent."""


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [archive], PAYSTREAM_ARCHIVE_*; when a payment may go is in [payments]."""

    sweep_seconds: float = 3600.0
    """From the begin of one sweep over all payments to the begin of the next."""
    sweep_entries_max: int = 1_000
    """Payments that are looked at per tick."""
    interval_seconds: float = 0.5
    """How often a sweep goes on."""


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [history], PAYSTREAM_HISTORY_*: questions to the audit store."""

    views_database: Annotated[str, msgspec.Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] = "paystream"
    """Database of the view `payment_events`."""
    timeout_seconds: int = 30
    """To connect, and to be answered."""
    in_flight_max: int = 8
    """Questions on their way per worker."""
    retry_seconds: float = 0.5
    """First pause while the store is away, behind, or tells something else; it doubles."""
    retry_seconds_max: float = 600.0
    """Longest pause; the engine's lane looks again every 30 s at the latest."""


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section [network], PAYSTREAM_NETWORK_*."""

    timeout_seconds: float = 3.0
    """One HTTP call, from the connection to the last byte of the answer."""
    attempts_max: int = 4
    """Calls for one request, with the same idempotency key; then its status is asked for."""
    backoff_seconds: float = 0.2
    """First pause between two tries is drawn from 0 to this; the bound doubles with each try."""
    backoff_seconds_max: float = 5.0
    """Largest bound of a pause."""
    in_flight_max: int = 200
    """Requests in the network's hands, and connections to it, per worker."""
    not_found_timeout_seconds: float = 120.0
    """An authorization that the network does not know so long after it was asked for has failed."""
    fallback_ownership_margin_seconds: float = 5.0
    """An authorization goes to the fallback network only if it was asked for so long after this
    worker took over its partition: clocks differ, and an earlier owner may have called."""
    breaker_window_calls: int = 20
    """The circuit breaker looks at so many of the last calls."""
    breaker_failure_ratio: float = 0.5
    """At this share of failures it opens."""
    breaker_open_seconds: float = 5.0
    """So long nothing is sent; then one call tries."""

    @property
    def call_seconds_max(self) -> float:
        """The longest that one request takes: status, operation, status, with all their tries."""
        return 3 * self.attempts_max * (self.timeout_seconds + self.backoff_seconds_max)


def policy(env: Mapping[str, str]) -> Policy:
    """The lifecycle's times; section [payments], PAYSTREAM_PAYMENTS_*.

    Raises ConfigurationError.
    """
    chosen = load(Policy, "payments", env)
    smallest = min(msgspec.structs.astuple(chosen))
    if smallest <= 0:
        raise ConfigurationError("[payments]: every time and number must be above 0")
    if chosen.capture_delay_seconds_max >= chosen.authorization_valid_seconds:
        return msgspec.structs.replace(
            chosen, capture_delay_seconds_max=chosen.authorization_valid_seconds - 1
        )
    return chosen


def merchant_policy(env: Mapping[str, str]) -> MerchantPolicy:
    """What merchants get by default; section [merchants], PAYSTREAM_MERCHANTS_*."""
    return load(MerchantPolicy, "merchants", env)
