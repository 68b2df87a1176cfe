"""Settings of the engine, each default with its reason. Names end in their unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker consumes, commits, restores and stops.

    The limits that an operator may change are here, side by side; a request's own time-out stands
    beside the call.
    """

    # -- group membership (aiokafka), requests of all clients
    request_timeout_seconds: float = 10.0
    """Timeout of one broker request. With librdkafka's default of 60 s, a broker that hangs without
    closing its connections delays a commit by that long. Keep it above `broker.session.timeout.ms`
    (9 s), or requests are retried needlessly.
    """
    session_timeout_seconds: float = 10.0
    """A dead worker's partitions move after this time. Keep it above a broker failover (9 s), or
    each failover causes a rebalance.
    """
    heartbeat_seconds: float = 2.0
    """A fifth of the session timeout: four heartbeats may be lost."""
    static_membership: bool = True
    """A worker that restarts within the session keeps its partitions without a rebalance (2 s)."""

    # -- cycle
    batch_records_max: int = 4000
    """Records per transaction. Higher values raise latency, but no longer throughput."""
    batch_bytes_max: int = 16 * 1024 * 1024
    """Bytes of input per transaction; the rest of a poll waits for the next cycle."""
    output_bytes_max: int = 64 * 1024 * 1024
    """Bytes of output per batch: an agent that multiplies its input fails with a clear error."""
    record_bytes_max: int = 950_000
    """Key, value and headers of a record that is written. 50 kB under a topic's
    `max.message.bytes` of 1,000,000: a batch adds to it, and one over the limit ends the worker.
    """
    batch_linger_seconds: float = 0.0
    """How long a poll that found a record waits for more, up to `batch_records_max`. Sinks that pay
    per write to their store raise it to some 0.2 s. It adds that much latency; keep it below 1 s,
    because a revocation waits for it.
    """
    commit_interval_seconds: float | None = None
    """Shortest time between two commits while records keep coming; None: none. It bounds what a
    worker costs the brokers at any rate, and adds this much latency at most. The first
    record after a quiet time does not wait, nor does a full batch. Keep it below 1 s, because a
    revocation waits for it.
    """
    poll_seconds: float = 0.1
    """How long one poll may wait for the first record; also limits the delay of a revocation."""
    prefetch_records: int = 20_000
    """librdkafka's queue per consumer (`queued.min.messages`)."""
    prefetch_kilobytes: int = 65_536
    """Memory limit of that queue (`queued.max.messages.kbytes`)."""

    # -- transaction
    transaction_timeout_seconds: float = 60.0
    """Also caps the delivery timeout. Keep it above a broker failover (9-20 s)."""
    commit_hang_seconds: float = 6.0
    """Limit of send_offsets_to_transaction, which can hang forever when the coordinator's broker
    dies. Doubled after each hang in a row, up to `commit_hang_seconds_max`.
    """
    commit_timeout_after_disconnect_seconds: float = 1.0
    """The same limit soon after a lost connection. The call hangs only then, so the limit can be
    short; the time adds to the failover in full.
    """
    commit_hang_seconds_max: float = 60.0
    """Upper limit of both, while hangs follow one another."""
    call_seconds_max: float = 90.0
    """Limit of any other blocking call. Keep it above the transaction timeout, so that librdkafka
    returns first.
    """
    retry_backoff_ms: int = 1
    """A broker rejects a transaction until the markers of the one before are written (some ms). The
    request is repeated after 1, 2, 4 ms, ... librdkafka's default of 100 ms would be the tail of
    the latency.
    """
    linger_ms: int = 5
    """A cycle produces one burst: a short wait fills the producer's batches."""
    fenced_backoff_seconds: float = 2.0
    """How long a fenced commit waits for the rebalance that usually follows; then it restores."""
    consecutive_aborts_max: int = 200
    """Aborts without a commit between them; then the process exits and its supervisor starts a new
    one.
    """

    # -- restore
    fence_after_seconds: float = 1.0
    """A transaction in a changelog that stays open longer is aborted by fencing its owner."""
    truncation_confirm_seconds: float = 60.0
    """A changelog shorter than its committed offsets is read again for this long, then rejected."""
    restore_stall_seconds: float = 300.0
    """The watchdog ends a worker whose restore makes no progress for this long, or that waits this
    long for an assignment.
    """
    delete_retention_seconds: float = 86_400.0
    """Kafka's default `delete.retention.ms`. A local state older than half of it is restored in
    full, because tombstones that it missed may be compacted away.
    """
    allow_offset_rewind: bool = False
    """For one start: accept committed offsets that contradict the changelog (a deliberate rewind,
    or a restored backup). The table is then restored in full from what the changelog holds.
    """

    # -- agents
    retry_seconds_max: float = 30.0
    """An agent's `Retry` waits at most this long before the batch is delivered again."""
    dead_letter_window_records: int = 1000
    """Window of the dead letter limit: this many of the last records."""
    dead_letter_ratio_max: float = 0.25
    """A larger share of failed records in the window stops the worker."""
    consecutive_dead_letters_max: int = 100
    """This many failed records in a row stop the worker."""

    # -- watchdog
    progress_stall_seconds: float = 180.0
    """A cycle that takes longer ends the process with a diagnosis."""
    loop_stall_seconds: float = 60.0
    """An event loop that does not run for this long does the same."""
    drain_seconds: float = 5.0
    """Revocation and SIGTERM wait this long for the current cycle, then abandon it."""
    shutdown_seconds_max: float = 25.0
    """From SIGTERM to the exit of the process. A supervisor's grace time is usually 30 s."""

    # -- topics and produce
    topic_wait_seconds: float = 30.0
    """How long a start waits for a missing topic."""
    send_outstanding_max: int = 2000
    """Records of `produce` that may wait for the broker's acknowledgement."""

    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """More librdkafka settings for all clients (security, statistics). What a client needs for its
    purpose, such as its isolation level, is not overridden.
    """
