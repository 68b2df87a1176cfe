"""How a record that could not be processed is kept: as it was, with the reason."""

from typing import Protocol

from runtime.clock import now_ms
from schemas.codec import encode
from schemas.records import DeadLetter

DETAIL_CHARACTERS_MAX = 2_000


class SourceRecord(Protocol):
    """The part of a consumed record that a dead letter keeps."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: dict[str, bytes]
    raw: bytes


def encode_dead_letter(
    record: SourceRecord, reason_code: str, detail: str, source_app: str
) -> bytes:
    """The value for payments.dead_letters; reason_code is one of vocabulary.DeadLetterReason."""
    return encode(
        DeadLetter(
            source_app=source_app,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            reason_code=reason_code,
            detail=detail[:DETAIL_CHARACTERS_MAX],
            headers=dict(record.headers),
            value=record.raw,
            failed_at_ms=now_ms(),
        )
    )
