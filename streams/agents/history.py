"""The history agent: questions for archived payments in, their events out as commands.

It only fetches: whether the events are those that the payment had is checked by the domain, against
the marker that stayed.
"""

from typing import Protocol

from engine import ProducerRecord, Record, Retry
from runtime import log
from runtime.clock import now_ms
from runtime.telemetry import counter
from schemas.codec import encode
from schemas.enums import ArchiveCommandKind
from schemas.headers import TRACEPARENT, record_headers
from schemas.records import HistoryRequest
from schemas.topics import PAYMENTS_COMMANDS
from streams.agents.event_store import EventStoreUnavailable
from streams.domain.archive import storage_command
from streams.domain.history_codec import pack
from streams.settings import HistorySettings

SOURCE = "streams-history"
_MS = 1000
_DOUBLINGS_MAX = 20
_LOG = log.get("streams.history")


class EventStore(Protocol):
    """Where the events of archived payments are."""

    async def records(self, merchant_id: str, payment_id: str, sequence: int) -> list[bytes]:
        """The first `sequence` events, as far as they are there. Raises EventStoreUnavailable."""


class HistoryCallHandler:
    """Call function of the lane over `history.requests`."""

    def __init__(self, store: EventStore, settings: HistorySettings) -> None:
        self._store = store
        self._settings = settings
        self._failures = 0
        self._questions = counter("paystream_history_requests_total")

    async def call(self, record: Record) -> list[ProducerRecord]:
        """The payment's events as a command. Raises Retry while the store cannot tell them all.

        HistoryTooLarge is not retried: the question becomes a dead letter.
        """
        request: HistoryRequest = record.value
        self._check_patience(request, record.timestamp_ms)
        records = await self._records(request)
        if len(records) < request.sequence:
            raise self._behind(request, len(records), record.timestamp_ms)
        self._questions.labels("answered").inc()
        return [answer_record(request, records, now_ms(), record.headers.get(TRACEPARENT))]

    def _check_patience(self, request: HistoryRequest, asked_at_ms: int) -> None:
        """An answer that did not fit is asked for again with growing pauses."""
        if request.attempt == 1:
            return
        pause = self._settings.retry_seconds * 2 ** min(request.attempt - 2, _DOUBLINGS_MAX)
        due_at_ms = asked_at_ms + int(min(pause, self._settings.retry_seconds_max) * _MS)
        if (left_ms := due_at_ms - now_ms()) > 0:
            raise Retry(left_ms / _MS, f"attempt {request.attempt} of a history")

    async def _records(self, request: HistoryRequest) -> list[bytes]:
        try:
            records = await self._store.records(
                request.merchant_id, request.payment_id, request.sequence
            )
        except EventStoreUnavailable as error:
            self._questions.labels("unavailable").inc()
            self._failures = min(self._failures + 1, _DOUBLINGS_MAX)
            pause = self._settings.retry_seconds * 2 ** (self._failures - 1)
            _LOG.warning("audit_store_unavailable", error=str(error))
            raise Retry(min(pause, self._settings.retry_seconds_max), str(error)) from error
        self._failures = 0
        return records

    def _behind(self, request: HistoryRequest, found: int, asked_at_ms: int) -> Retry:
        """As long again as it took so far, so that pauses double."""
        self._questions.labels("behind").inc()
        found_text = f"{found} of {request.sequence} events"
        _LOG.warning("audit_store_behind", payment=request.payment_id, found=found_text)
        so_far_seconds = max(0, now_ms() - asked_at_ms) / _MS
        pause = max(self._settings.retry_seconds, so_far_seconds)
        return Retry(min(pause, self._settings.retry_seconds_max), f"the store has {found_text}")


def answer_record(
    request: HistoryRequest, records: list[bytes], issued_at_ms: int, trace: bytes | None
) -> ProducerRecord:
    """The answer for payments.commands. Raises HistoryTooLarge."""
    subject = f"{request.sequence}#{request.attempt}"
    history = pack(records)
    command = storage_command(
        request,
        ArchiveCommandKind.HISTORY,
        subject,
        issued_at_ms,
        attempt=request.attempt,
        history=history,
    )
    headers = record_headers(command.command_id, command.kind, issued_at_ms, SOURCE, trace)
    return ProducerRecord(PAYMENTS_COMMANDS, command.payment_id, encode(command), headers)
