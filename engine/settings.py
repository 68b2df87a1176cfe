"""Settings of the engine; each default with its reason. Names end in their unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker consumes, commits, restores and gives up.

    Every bound of the room is here, so that an operator can see them side by side.
    """

    # -- group membership (aiokafka), requests of all clients
    request_timeout_seconds: float = 10.0
    """An answer takes no longer. The default of 60 s is how long a stopped broker, whose
    connections stay open, would hold up a commit; less than its fencing (9 s) repeats requests.
    """
    session_timeout_seconds: float = 10.0
    """A dead worker's partitions move after this; below it a broker failover (9 s) costs a
    rebalance.
    """
    heartbeat_seconds: float = 2.0
    """A fifth of the session: four heartbeats may be lost."""
    static_membership: bool = True
    """A worker that restarts within the session keeps its partitions without a rebalance (2 s)."""

    # -- cycle
    batch_records_max: int = 4000
    """Records per transaction; above it throughput no longer rises, latency does."""
    batch_bytes_max: int = 16 * 1024 * 1024
    """Bytes of input per transaction; the rest of a poll waits for the next cycle."""
    output_bytes_max: int = 64 * 1024 * 1024
    """Bytes of output per batch: an agent that multiplies its input is stopped with a clear error.
    """
    record_bytes_max: int = 1_000_000
    """A little under the broker's default `max.message.bytes` (1,048,588), headers included."""
    batch_linger_seconds: float = 0.0
    """How long a poll that found a record waits for more, up to `batch_records_max`. Sinks that pay
    per write to their store raise it to some 0.2 s; it adds that much latency, and at most 1 s is
    sensible (a revocation waits for it).
    """
    poll_seconds: float = 0.1
    """How long one poll may wait for the first record; also bounds how late a revocation is seen.
    """
    prefetch_records: int = 20_000
    """librdkafka's queue per consumer (`queued.min.messages`)."""
    prefetch_kilobytes: int = 65_536
    """And its memory bound (`queued.max.messages.kbytes`)."""

    # -- transaction
    transaction_timeout_seconds: float = 60.0
    """Also caps the delivery time-out: must be longer than a broker failover (9-20 s)."""
    commit_hang_seconds: float = 6.0
    """send_offsets_to_transaction can hang for ever when the coordinator's broker dies; doubled to
    the maximum below while it repeats.
    """
    commit_timeout_after_disconnect_seconds: float = 1.0
    """The same while a broker is known to be away: only then does it hang, so less patience is
    needed. It hangs after the new coordinator was elected, and adds to the failover in full.
    """
    commit_hang_seconds_max: float = 60.0
    call_seconds_max: float = 90.0
    """Any other blocking call: longer than the transaction time-out, so librdkafka answers first.
    """
    retry_backoff_ms: int = 1
    """A transaction right after another is refused until the markers of that one are written (some
    ms): asked again after 1, 2, 4 ms, ... With the default of 100 ms that is the latency's tail.
    """
    linger_ms: int = 5
    """A cycle is one burst: a little patience makes full batches."""
    fenced_backoff_seconds: float = 2.0
    """After a fenced commit a rebalance usually follows; without one the engine rebuilds itself."""
    consecutive_aborts_max: int = 200
    """Aborts without one commit between; then the process ends and its supervisor starts a fresh
    one.
    """

    # -- restore
    fence_after_seconds: float = 1.0
    """An open transaction in a changelog that lasts longer is aborted by fencing its owner."""
    truncation_confirm_seconds: float = 60.0
    """A changelog shorter than its committed offsets is asked again for this long, then refused."""
    restore_stall_seconds: float = 300.0
    """The watchdog ends a worker whose restore makes no progress for this long, or that waits so
    long to be assigned anything.
    """
    delete_retention_seconds: float = 86_400.0
    """Kafka's default `delete.retention.ms`: a local state older than half of it is rebuilt in
    full, because the tombstones it missed may be compacted away.
    """
    allow_offset_rewind: bool = False
    """Operator's switch: accept committed offsets that contradict the changelog (a deliberate
    rewind, or a restored backup). The table is then rebuilt in full from what the changelog holds.
    """

    # -- agents
    retry_seconds_max: float = 30.0
    """An agent's `Retry` waits at most this long before the batch comes again."""
    dead_letter_window_records: int = 1000
    """The fuse looks at this many of the last records."""
    dead_letter_ratio_max: float = 0.25
    """A larger share of failed records than this in the window stops the worker."""
    consecutive_dead_letters_max: int = 100
    """So many failed records in a row stop the worker."""

    # -- watchdog
    progress_stall_seconds: float = 180.0
    """A cycle that is not done after this ends the process with a diagnosis."""
    loop_stall_seconds: float = 60.0
    """The event loop did not run for this long: same."""
    drain_seconds: float = 5.0
    """Revocation and SIGTERM wait this long for the cycle in hand, then abandon it."""
    shutdown_seconds_max: float = 25.0
    """SIGTERM to the end of the process at the latest; a supervisor's grace time is usually 30 s.
    """

    # -- topics and sender
    topic_wait_seconds: float = 30.0
    """A missing topic at start is waited for this long."""
    send_outstanding_max: int = 2000
    """Records of `produce` that wait for the broker's acknowledgement."""

    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """More librdkafka settings for all clients (security, statistics). What a client is for, as its
    isolation level or transactional id, stays the engine's.
    """
