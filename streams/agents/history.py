"""Calls to ClickHouse: a request for an archived payment's history in, its events out as a command.

The handler only fetches. The domain checks that the events are those of the payment, against the
archive stub.
"""

from typing import Protocol

from engine import ProducerRecord, Record, Retry
from runtime import log
from runtime.backoff import Backoff, backoff_seconds
from runtime.clock import now_ms
from runtime.telemetry import counter
from schemas.enums import ArchiveCommandKind, Source
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT
from schemas.records import HistoryRequest
from streams.agents.event_store import EventStoreUnavailable
from streams.domain.archive import archive_control_command
from streams.domain.history_codec import pack
from streams.settings import HistorySettings
from workers.catalogue import WORKERS

SOURCE = WORKERS["network"].group
_MS = 1000
_LOG = log.get("streams.history")


class EventStore(Protocol):
    """Where the events of archived payments are."""

    async def records(self, merchant_id: str, payment_id: str, sequence: int) -> list[bytes]:
        """The first `sequence` events, as far as they are there. Raises EventStoreUnavailable."""


class HistoryCallHandler:
    """Call function of the parallel consumer of `history.requests`."""

    def __init__(self, store: EventStore, settings: HistorySettings) -> None:
        self._store = store
        self._settings = settings
        self._backoff = Backoff(settings.retry_seconds, settings.retry_seconds_max)
        self._requests = counter("paystream_history_requests_total")

    async def call(self, record: Record) -> list[ProducerRecord]:
        """The payment's events as a command. Raises Retry while the store does not have them all.

        HistoryTooLarge is not retried: the request becomes a dead letter.
        """
        request: HistoryRequest = record.value
        self._raise_if_early(request, record.timestamp_ms)
        records = await self._records(request)
        if len(records) < request.sequence:
            raise self._lagging(request, len(records), record.timestamp_ms)
        self._requests.labels("ok").inc()
        return [history_record(request, records, now_ms(), record.headers.get(TRACEPARENT))]

    def _raise_if_early(self, request: HistoryRequest, requested_at_ms: int) -> None:
        """A history that did not match is requested again, after growing pauses."""
        if request.attempt == 1:
            return
        settings = self._settings
        pause = backoff_seconds(
            request.attempt - 1, settings.retry_seconds, settings.retry_seconds_max
        )
        left_ms = requested_at_ms + int(pause * _MS) - now_ms()
        if left_ms > 0:
            raise Retry(left_ms / _MS, f"attempt {request.attempt} of a history")

    async def _records(self, request: HistoryRequest) -> list[bytes]:
        try:
            records = await self._store.records(
                request.merchant_id, request.payment_id, request.sequence
            )
        except EventStoreUnavailable as error:
            self._requests.labels("unavailable").inc()
            _LOG.warning("clickhouse_unavailable", error=str(error))
            raise Retry(self._backoff.next_seconds(), str(error)) from error
        self._backoff.reset()
        return records

    def _lagging(self, request: HistoryRequest, found: int, requested_at_ms: int) -> Retry:
        """Waits as long again as the request has waited so far, so that pauses double."""
        self._requests.labels("lagging").inc()
        found_text = f"{found} of {request.sequence} events"
        _LOG.warning("clickhouse_lagging", payment=request.payment_id, found=found_text)
        so_far_seconds = max(0, now_ms() - requested_at_ms) / _MS
        pause = max(self._settings.retry_seconds, so_far_seconds)
        return Retry(min(pause, self._settings.retry_seconds_max), f"the store has {found_text}")


def history_record(
    request: HistoryRequest, records: list[bytes], issued_at_ms: int, trace: bytes | None
) -> ProducerRecord:
    """The history as a record for its topic. Raises HistoryTooLarge."""
    subject = f"{request.sequence}#{request.attempt}"
    history = pack(records)
    command = archive_control_command(
        request,
        ArchiveCommandKind.HISTORY,
        subject,
        issued_at_ms,
        Source.HISTORY,
        attempt=request.attempt,
        history=history,
    )
    return ProducerRecord(*to_message(command, SOURCE, trace))
