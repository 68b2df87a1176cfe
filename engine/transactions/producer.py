"""The worker's transactional producer: one transaction per poll, every step with a limit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as KafkaProducer
from confluent_kafka import TopicPartition as KafkaTopicPartition

from engine.broker.blocking_calls import BlockingCallThread
from engine.broker.broker_errors import AUTHORIZATION_CODES
from engine.broker.clients import ClientConfig
from engine.broker.disconnects import DisconnectDetector
from engine.errors import CallTimedOut, InstanceIdInUse, NonRetriableBrokerError, TransactionAborted
from engine.state.partition import TablePartition
from engine.transactions.offset_metadata import OffsetMetadata, changelog_headers
from engine.transactions.transaction import Transaction
from engine.types import TopicPartition

log = logging.getLogger(__name__)

FENCED_CODES = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)
NON_RETRIABLE_CODES = AUTHORIZATION_CODES | {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
FLUSH_STEP_SECONDS = 1.0
SLOW_PRODUCE_SECONDS = 3.0

MARKERS_SECONDS = 0.02
"""How long after a commit the broker may still be writing that transaction's markers.

Until they are written it rejects requests of the next transaction (CONCURRENT_TRANSACTIONS).
librdkafka repeats a rejected AddPartitionsToTxn after a fixed 20 ms, but a rejected
AddOffsetsToTxn after `retry_backoff_ms`. So within this time the group's offsets are added first
(`_begin_with_offsets`): it waits for the markers in steps of 1 ms. See "Transactions" in
docs/operators/engine.md.
"""

FailPoint = Callable[[str], None]
"""For fault tests: called in the producer's thread with the name of the next step."""


class TransactionalProducer:
    """Commits transactions; after any doubtful outcome the client is replaced before the next one.

    The replacement has the same transactional id: `init_transactions` aborts what the old one left
    open and fences it, so an abandoned client that wakes up can do no harm.

    The client is replaced after a lost connection as well: a request that was sent twice may reach
    the broker late, in the middle of the next transaction of the same epoch, and end that one
    (KIP-890).
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._settings = config.settings
        self._thread = BlockingCallThread("engine-transactions")
        self._client: Any = None
        self._hangs_in_row = 0
        self._connections = DisconnectDetector()
        self._committed_at = -MARKERS_SECONDS
        self._member = b""
        self._committed_sources: set[TopicPartition] = set()  # by this worker as this member
        self._step = ""
        self.fail_point: FailPoint | None = None

    @property
    def usable(self) -> bool:
        """False after a doubtful outcome, until `open`."""
        return self._client is not None

    async def open(self) -> None:
        """Create a client whose predecessor is fenced. Retries until it succeeds; raises
        `NonRetriableBrokerError`.
        """
        while self._client is None:
            connections = DisconnectDetector()
            client = KafkaProducer(self._config.transactional_producer(), logger=connections)
            try:
                await self._thread.call(35.0, client.init_transactions, 30)
            except (KafkaException, CallTimedOut) as exc:
                _raise_if_non_retriable(exc)
                log.warning("transactions of %s not ready: %s", self._config.transactional_id, exc)
                await self._pause()
                continue
            self._client, self._connections = client, connections

    async def commit(self, transaction: Transaction, metadata: bytes) -> None:
        """One Kafka transaction; returns when it is committed. `metadata`: group member of the
        cycle.

        Raises `TransactionAborted`, or `NonRetriableBrokerError` when repeating cannot help.
        """
        await self._bump_epoch_after_disconnect()
        try:
            await self._steps(self._client, transaction, metadata)
        except CallTimedOut as exc:
            self._hangs_in_row += 1
            self._client = (
                None  # its thread may stay inside it forever: it can be neither used nor closed
            )
            raise TransactionAborted(f"{self._step}: {exc}; outcome unknown", fenced=False) from exc
        except (KafkaException, BufferError) as exc:
            await self._fail(self._step, exc)
        except BaseException:  # cancelled: the outcome is unknown
            self._client = None
            raise
        self._hangs_in_row = 0
        self._committed_at = time.monotonic()
        self._committed_sources.update(transaction.offsets)

    async def _steps(self, client: Any, transaction: Transaction, metadata: bytes) -> None:
        call, limit, began = self._thread.call, self._settings.call_seconds_max, time.monotonic()
        first = self._early_offset(transaction, metadata, began)
        if first:
            self._step = "send_offsets"
            await call(self._hang_limit(began), self._begin_with_offsets, client, first, metadata)
        self._step = "produce"
        await call(limit, self._produce, client, transaction, not first)
        self._step = "send_offsets"
        offsets = self._offsets(transaction)
        await call(self._hang_limit(began), self._send_offsets, client, offsets, metadata)
        self._step = "commit"
        await call(limit, self._commit, client)

    async def close(self) -> None:
        """Let the client go; bounded."""
        await self._replace()
        self._thread.abandon()

    # -- in the producer's thread

    def _begin_with_offsets(
        self, client: Any, first: list[KafkaTopicPartition], metadata: bytes
    ) -> None:
        """The offsets sent at the end replace these, and their metadata."""
        self._begin(client)
        _add_offsets(client, first, metadata)

    def _begin(self, client: Any) -> None:
        self._at_fail_point("before_produce")
        client.begin_transaction()

    def _produce(self, client: Any, transaction: Transaction, begin: bool) -> None:
        if begin:
            self._begin(client)
        for output in transaction.outputs:
            partition = -1 if output.partition is None else output.partition
            headers = dict(output.headers) if output.headers else None
            _produce_one(client, output.topic, output.value, output.key, partition, headers)
        self._at_fail_point("between_produces")
        for table, writes in transaction.writes.items():
            topic, number = table.changelog_topic, table.number
            entries = list(writes.items())
            for key, value in entries[:-1]:
                _produce_one(client, topic, value, key, number)
            key, value = entries[-1]
            owner = self._config.transactional_id
            sources = changelog_headers(owner, transaction.sources_of(number))
            report = _position_report(transaction, table)
            _produce_one(client, topic, value, key, number, sources, report)
        self._flush(client)
        self._at_fail_point("before_send_offsets")

    def _flush(self, client: Any) -> None:
        deadline = time.monotonic() + self._settings.transaction_timeout_seconds + 10
        while client.flush(FLUSH_STEP_SECONDS):
            if time.monotonic() > deadline:
                raise BufferError(f"{len(client)} records not delivered")

    def _send_offsets(
        self, client: Any, offsets: list[KafkaTopicPartition], metadata: bytes
    ) -> None:
        _add_offsets(client, offsets, metadata)
        self._at_fail_point("before_commit")

    def _commit(self, client: Any) -> None:
        _retrying(client.commit_transaction, self._settings.call_seconds_max - 15, 10)
        client.poll(0)  # delivers log lines about connections
        self._at_fail_point("after_commit")

    def _at_fail_point(self, step: str) -> None:
        if self.fail_point is not None:
            self.fail_point(step)

    # -- connections

    def _hang_limit(self, began: float) -> float:
        """A produce step that waited long for a leader is a sign of a lost broker as well."""
        settings = self._settings
        first = settings.commit_hang_seconds
        slow = time.monotonic() - began > SLOW_PRODUCE_SECONDS
        if self._connections.recently_disconnected or slow:
            first = settings.commit_timeout_after_disconnect_seconds
        return float(min(first * 2**self._hangs_in_row, settings.commit_hang_seconds_max))

    async def _bump_epoch_after_disconnect(self) -> None:
        """The last transaction is committed, so nothing has to be restored."""
        if self._connections.lost_connection is not None:
            log.warning(
                "a new epoch after a lost connection: %s", self._connections.lost_connection
            )
            await self._replace()
            await self.open()

    # -- outcomes

    async def _fail(self, step: str, exc: KafkaException | BufferError) -> None:
        error = exc.args[0] if isinstance(exc, KafkaException) else None
        fenced = error is not None and error.code() in FENCED_CODES
        doubtful = error is not None and (error.fatal() or not _abortable(error, step))
        if doubtful or not await self._abort():
            await self._replace()
        if error is not None and error.code() == KafkaError.FENCED_INSTANCE_ID:
            raise InstanceIdInUse(
                f"The instance id {self._config.instance_id!r} of {self._config.app_id} is used by "
                "another live worker. Give each worker its own instance id."
            ) from exc
        _raise_if_non_retriable(exc)
        fenced = fenced or (error is not None and error.fatal())
        raise TransactionAborted(f"{step}: {error or exc}", fenced=fenced) from exc

    async def _abort(self) -> bool:
        try:
            await self._thread.call(40.0, _retrying, self._client.abort_transaction, 30.0, 10)
        except (KafkaException, CallTimedOut) as exc:
            log.warning("abort failed, replacing the producer: %s", exc)
            return False
        return True

    async def _replace(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                await self._thread.call(10.0, _close, client)
            except CallTimedOut as exc:
                log.warning("closing a producer: %s", exc)

    def _offsets(self, transaction: Transaction) -> list[KafkaTopicPartition]:
        return [
            self._offset(transaction, source, offset)
            for source, offset in transaction.offsets.items()
        ]

    def _early_offset(
        self, transaction: Transaction, metadata: bytes, now: float
    ) -> list[KafkaTopicPartition]:
        """What `_begin_with_offsets` sends; [] when the markers must be written by now.

        Only an offset that this worker committed before: after its death, the new owner finds the
        owner of an unstable offset in the metadata of the last commit.
        """
        if metadata != self._member:
            self._member = metadata
            self._committed_sources.clear()
        if now - self._committed_at >= MARKERS_SECONDS:
            return []
        known = (source for source in transaction.offsets if source in self._committed_sources)
        return [
            self._offset(transaction, source, transaction.offsets[source])
            for source in islice(known, 1)
        ]

    def _offset(
        self, transaction: Transaction, source: TopicPartition, offset: int
    ) -> KafkaTopicPartition:
        ends, time_ms = transaction.changelog_ends(source.partition), transaction.times.get(source)
        metadata = OffsetMetadata(self._config.transactional_id, ends, time_ms or 0)
        return KafkaTopicPartition(*source, offset, metadata=metadata.encode())

    async def _pause(self) -> None:
        await self._thread.call(2.0, time.sleep, 0.5)


def _add_offsets(client: Any, offsets: list[KafkaTopicPartition], metadata: bytes) -> None:
    _retrying(client.send_offsets_to_transaction, 60.0, offsets, metadata, 5)


def _produce_one(
    client: Any,
    topic: str,
    value: Any,
    key: Any,
    partition: int,
    headers: Any = None,
    report: Any = None,
) -> None:
    while True:
        try:
            if headers is None:
                client.produce(topic, value, key, partition)
            else:
                client.produce(topic, value, key, partition, on_delivery=report, headers=headers)
            return
        except BufferError:
            client.poll(0.05)


def _position_report(
    transaction: Transaction, partition: TablePartition
) -> Callable[[Any, Any], None]:
    def report(error: Any, message: Any) -> None:
        if error is None:
            transaction.positions[partition] = message.offset() + 1

    return report


def _retrying(function: Callable[..., Any], limit_seconds: float, *args: Any) -> None:
    """Repeat while librdkafka reports a retriable error."""
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            function(*args)
            return
        except KafkaException as exc:
            if not exc.args[0].retriable() or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _abortable(error: KafkaError, step: str) -> bool:
    return step == "produce" or bool(error.txn_requires_abort())


def _raise_if_non_retriable(exc: BaseException) -> None:
    error = exc.args[0] if isinstance(exc, KafkaException) else None
    if error is not None and error.code() in NON_RETRIABLE_CODES:
        raise NonRetriableBrokerError(
            f"The broker rejects the request: {error}. Nothing was committed. Check that the topic "
            "exists, the rights of this worker, and the topic's max.message.bytes."
        ) from exc


def _close(client: Any) -> None:
    client.purge()
    try:
        client.close()  # otherwise it keeps its connections
    except KafkaException as exc:  # it raises for a client with a fatal error
        log.info("closing a producer: %s", exc)
