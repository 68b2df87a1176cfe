"""Settings of the webhook sink: section [webhooks], PAYSTREAM_WEBHOOKS_*."""

from typing import Annotated

import msgspec

from sinks.webhooks.delivery import RetryPolicy
from sinks.webhooks.delivery_queue import BreakerPolicy

Positive = Annotated[int, msgspec.Meta(ge=1)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0)]


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and times; the defaults are for production."""

    schedule_factor: PositiveSeconds = 1.0
    """Multiplies every delay and the 30 days: 0.001 makes hours of retries fit into a demo."""
    failures_to_open: Positive = 5
    """Failures in a row after which an endpoint gets only single probes."""
    probe_seconds: PositiveSeconds = 10.0
    probe_seconds_max: PositiveSeconds = 3600.0

    attempt_timeout_seconds: PositiveSeconds = 10.0
    """From the first byte sent to the last byte received."""
    response_bytes_max: Positive = 16_384
    """How much of a response is read; its content is discarded."""
    in_flight_max: Positive = 1000
    """Attempts in flight in one worker."""
    endpoint_in_flight_max: Positive = 16
    """Attempts in flight at one endpoint."""
    poll_seconds: PositiveSeconds = 0.05
    """How often the tables are checked for due deliveries."""
    due_rows_min: Positive = 512
    due_rows_max: Positive = 65_536
    """Due entries read per poll: it doubles while all of them belong to busy endpoints."""
    queue_window_positions: Positive = 1024
    """How many positions behind the head of an endpoint's queue are searched for work."""

    merchant_refresh_seconds_max: float = 5.0
    """How long a batch with an unknown merchant waits for the newest registrations before it is
    tried again. A merchant that is not among them has no endpoint."""
    unknown_endpoint_seconds: float = 60.0
    """A delivery this old to an endpoint that does not exist is exhausted."""

    allow_loopback: bool = False
    """For development: http and https to this machine."""
    allow_private_addresses: bool = False
    """https into private networks. Plain http never leaves this machine."""

    def retry_policy(self) -> RetryPolicy:
        """The schedule of retries."""
        return RetryPolicy(factor=self.schedule_factor)

    def breaker_policy(self) -> BreakerPolicy:
        """When an endpoint counts as dead."""
        return BreakerPolicy(
            failures_to_open=self.failures_to_open,
            probe_seconds=self.probe_seconds,
            probe_seconds_max=self.probe_seconds_max,
        )
