"""Records that cannot be processed: what is written about them, and when there are too many."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from engine.errors import DeadLetterLimitExceeded
from engine.producer_record import ProducerRecord
from engine.record import header_items

DETAIL_CHARACTERS_MAX = 2000
POINTER_KEY_BYTES_MAX = 1024


class DeadLetterReason(StrEnum):
    """Why a record could not be processed."""

    UNDECODABLE = "undecodable"
    """`decode` raised, or the agent raised one of the topic's `decode_errors`."""
    HANDLER_FAILED = "handler_failed"
    """The agent raised when it handled this record alone."""
    CALL_FAILED = "call_failed"
    """Every attempt of a `ParallelConsumer` raised."""


class RawRecord(msgspec.Struct, frozen=True):
    """A record as it was in the topic, for the dead letter.

    `omitted_bytes`: how long key, headers and value were, if they are left out because the dead
    letter would have been too large. Topic, partition and offset say where they are.
    `value_sha256`: of the value that was left out, hexadecimal.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None
    omitted_bytes: int | None = None
    value_sha256: str | None = None

    @classmethod
    def of(cls, message: Any) -> RawRecord:
        """From a client's message."""
        return cls(
            message.topic(),
            message.partition(),
            message.offset(),
            message.key(),
            header_items(message),
            message.value(),
        )

    def pointer(self) -> RawRecord:
        """The same without its content; a short key stays."""
        value = self.value or b""
        headers = sum(len(name) + len(text or b"") for name, text in self.headers)
        return msgspec.structs.replace(
            self,
            key=self.key if len(self.key or b"") <= POINTER_KEY_BYTES_MAX else None,
            headers=[],
            value=None,
            omitted_bytes=len(self.key or b"") + headers + len(value),
            value_sha256=hashlib.sha256(value).hexdigest(),
        )


class EncodeDeadLetter(Protocol):
    """Value of a dead letter: record, reason (`DeadLetterReason`), detail, app that gave up."""

    def __call__(
        self, record: RawRecord, reason_code: str, detail: str, source_app: str, /
    ) -> bytes: ...


class DeadLetters:
    """Builds the records of the dead letter topic; they have the source's key.

    A letter of more than `record_bytes_max` points at its record instead: see `RawRecord`.
    """

    def __init__(
        self, topic: str, encode: EncodeDeadLetter, app_id: str, record_bytes_max: int
    ) -> None:
        self.topic = topic
        self._record_bytes_max = record_bytes_max
        self._encode = encode
        self._app_id = app_id

    def record_for(
        self, message: Any, reason: DeadLetterReason, error: BaseException
    ) -> ProducerRecord:
        """The dead letter of one message."""
        record = RawRecord.of(message)
        detail = f"{type(error).__name__}: {error}"[:DETAIL_CHARACTERS_MAX]
        letter = self._letter(record, reason, detail)
        if letter.size_bytes() > self._record_bytes_max:
            letter = self._letter(record.pointer(), reason, detail)
        return letter

    def _letter(self, record: RawRecord, reason: DeadLetterReason, detail: str) -> ProducerRecord:
        value = self._encode(record, reason.value, detail, self._app_id)
        return ProducerRecord(self.topic, record.key, value)


class DeadLetterLimit:
    """Stops the worker when too many records fail: in a row, or as a share of a window.

    Without it a wrong release would turn a whole topic into dead letters. Immutable: `after`
    returns the state with more outcomes, so that an aborted transaction is not counted.
    """

    def __init__(self, window_records: int, ratio_max: float, run_max: int) -> None:
        self._limits = (window_records, ratio_max, run_max)
        self._runs: deque[tuple[bool, int]] = deque()

    def after(self, outcomes: Iterable[tuple[bool, int]]) -> DeadLetterLimit:
        """State with runs of (handled, count) added. Raises `DeadLetterLimitExceeded`."""
        state = DeadLetterLimit(*self._limits)
        state._runs.extend(self._runs)
        for good, count in outcomes:
            state._add(good, count)
            if not good:
                state._check()
        return state

    def _add(self, good: bool, count: int) -> None:
        if self._runs and self._runs[-1][0] == good:
            count += self._runs.pop()[1]
        self._runs.append((good, count))
        excess = sum(count for _, count in self._runs) - self._limits[0]
        while excess > 0 and len(self._runs) > 1 and self._runs[0][1] <= excess:
            excess -= self._runs.popleft()[1]
        if excess > 0:
            first_good, first_count = self._runs[0]
            self._runs[0] = (first_good, first_count - excess)

    def _check(self) -> None:
        window_records, ratio_max, run_max = self._limits
        failed = sum(count for good, count in self._runs if not good)
        run = self._runs[-1][1]
        if run >= run_max or failed > ratio_max * window_records:
            raise DeadLetterLimitExceeded(
                f"Dead-letter limit exceeded: {run} records in a row and {failed} of the last "
                f"{window_records} failed. Nothing of this poll was committed. Fix the cause (see "
                "the errors above), then restart the worker."
            )
