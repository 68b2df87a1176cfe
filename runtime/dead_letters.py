"""How a record that could not be processed is kept: as it was, with the reason."""

from typing import Protocol

from runtime.clock import now_ms
from schemas.codec import encode
from schemas.records import DeadLetter

DETAIL_CHARACTERS_MAX = 2_000


class SourceRecord(Protocol):
    """The part of a consumed record that a dead letter keeps; engine.RawRecord is one."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> dict[str, bytes]: ...
    @property
    def value(self) -> bytes | None: ...


def encode_dead_letter(
    record: SourceRecord, reason_code: str, detail: str, source_app: str
) -> bytes:
    """The value for payments.dead_letters; reason_code is one of enums.DeadLetterReason."""
    return encode(
        DeadLetter(
            source_app=source_app,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=_text(record.key),
            reason_code=reason_code,
            detail=detail[:DETAIL_CHARACTERS_MAX],
            headers=dict(record.headers),
            value=record.value or b"",
            failed_at_ms=now_ms(),
        )
    )


def _text(key: bytes | None) -> str | None:
    """The key if it is UTF-8."""
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None
