"""Every setting of the API; `PAYSTREAM_API_<FIELD>` or `[api]` in PAYSTREAM_CONFIG changes one."""

from typing import Annotated

import msgspec

PositiveRate = Annotated[float, msgspec.Meta(gt=0)]
PositiveCount = Annotated[int, msgspec.Meta(ge=1)]


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and times of the API; defaults fit one process on one core."""

    host: str = "127.0.0.1"
    admin_host: str = "127.0.0.1"
    admin_port: int = 0
    """Of registration and operators' routes; 0 leaves them on the API's own port. With a port of
    their own, the admin token is refused on the other."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    """Of `/metrics`, `/livez` and `/readyz`; 0 leaves them on the API's own port."""
    ssl_certificate_file: str = ""
    """PEM file with the API's certificate and its chain: each of its ports then speaks TLS."""
    ssl_key_file: str = ""
    """PEM file with that certificate's private key."""
    body_bytes_max: int = 65_536
    outstanding_records_max: int = 10_000
    """Records sent to Kafka and not yet acknowledged; above it requests get 503."""
    linger_ms: int = 2
    delivery_timeout_seconds: float = 15.0
    """How long a record is tried to be sent; longer than the request waits for it."""
    acknowledge_seconds_max: float = 1.2
    """How long a request waits for Kafka; then 503. The record may still arrive, once."""
    kafka_silent_seconds_max: float = 4.0
    """Without an answer of Kafka for so long, this process is not ready."""
    wait_seconds_max: float = 10.0
    """Longest `Prefer: wait=N` that is granted."""
    wait_poll_seconds: float = 0.025
    waiting_requests_max: int = 2_000
    """Requests that may wait for an outcome at a time; above it they get 202 at once."""
    idempotency_seconds: int = 86_400
    """How long the fast check of a repeat lasts; the payment's own state checks for ever."""
    valkey_timeout_seconds: float = 0.5
    valkey_pause_seconds: float = 1.0
    """How long Valkey is left alone after a failed call: an outage costs no latency."""
    valkey_pending_max: int = 20_000
    open_registration: bool = True
    """Whether anybody may register a merchant; otherwise the operators' token is needed."""
    registration_wait_seconds: float = 10.0
    """How long the answer waits until this process knows what was registered."""
    allow_loopback: bool = False
    """For development: webhook and return URLs on this machine, also with plain http."""
    allow_private_addresses: bool = False
    """Webhook and return URLs whose host is an address of a private network."""
    requests_per_second: PositiveRate = 100.0
    """Rate limit of each merchant and mode over all processes; its record may have another."""
    request_burst: PositiveCount = 500
    """Requests of each merchant and mode at once."""
    registrations_per_minute: PositiveRate = 60.0
    """Registrations without the operators' token, over all processes."""
    address_registrations_per_minute: PositiveRate = 5.0
    """The same, of one client's address (IPv6: of its /64)."""
    registration_burst: PositiveCount = 20
    """Registrations of one address at once; of all, three times as many."""
    trusted_proxies: int = 0
    """Proxies in front that add to X-Forwarded-For; 0 takes the connection's own address."""
    drain_seconds: float = 12.0
    """Longest time between SIGTERM and exit."""
    drain_delay_seconds: float = 0.0
    """Time between `not ready` and the end of accepting, for load balancers to notice."""
    notification_age_seconds_max: int = 300
    """Signed notifications of the card network that are older, or from the future, are refused."""
    jwks_seconds: float = 60.0
    """How long the network's card key is answered from memory."""
