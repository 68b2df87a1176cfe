"""How a record that could not be processed is kept: as it was, with the reason."""

from collections.abc import Sequence
from typing import Protocol

from runtime.clock import now_ms
from schemas.codec import encode
from schemas.records import DeadLetter, SourceHeader

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
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def omitted_bytes(self) -> int | None: ...
    @property
    def value_sha256(self) -> str | None: ...


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
            headers={},
            value=record.value,
            failed_at_ms=now_ms(),
            source_key=record.key,
            source_headers=[SourceHeader(name=name, value=text) for name, text in record.headers],
            omitted_bytes=record.omitted_bytes,
            value_sha256=record.value_sha256,
        )
    )


def source_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """The source record's headers, from a letter of any version."""
    if letter.source_headers:
        return [(header.name, header.value) for header in letter.source_headers]
    return list(letter.headers.items())


def source_key(letter: DeadLetter) -> bytes | None:
    """The source record's key, from a letter of any version."""
    if letter.source_key is not None or letter.key is None:
        return letter.source_key
    return letter.key.encode()


def _text(key: bytes | None) -> str | None:
    """The key if it is UTF-8."""
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None
