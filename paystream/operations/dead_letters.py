"""What could not be processed, and what operators decided about it (`paystream dead-letters`).

A decision is one more record of `payments.dead_letters` that points at the letter: it lives as long
as the letter, needs no other store, and the ledger's view `dead_letters` shows both. See
docs/decisions/0006-dead-letter-decisions.md.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaException, Producer

from runtime.clock import now_ms
from runtime.dead_letters import source_headers, source_key
from runtime.kafka import RecordsGone, StoredRecord, producer_settings, read_partition, read_topic
from runtime.kafka_connection import KafkaConnection
from schemas import records
from schemas.audit_outcomes import AuditOutcome
from schemas.codec import UndecodableRecord, decode, encode
from schemas.enums import DeadLetterDecision
from schemas.envelopes import to_message
from schemas.headers import record_headers
from schemas.records import AuditAction, DeadLetter, SourceHeader
from schemas.topics import PAYMENTS_DEAD_LETTERS, PAYMENTS_REPLAYS, TOPICS
from workers.replays import comes_back_by_replay

REPLAYED_FROM = "replayed_from"
"""Header of a replayed record: topic/partition/offset where it stood before."""
SOURCE_APP = "operator"
NOTE_CHARACTERS_MAX = 500
LETTERS_AT_ONCE_MAX = 500
_TRANSACTIONAL_ID = "paystream-dead-letters"
_TIMEOUT_SECONDS = 30.0
_WITHOUT_VALUE = "the record has no value"
_LEFT_OUT = "the value is too large for a dead letter; read it at its topic, partition and offset"
_DECISIONS = {str(decision) for decision in DeadLetterDecision}


class DecisionFailed(Exception):
    """Nothing was replayed or dropped; the message says why."""


class Letter(NamedTuple):
    """A dead letter and its decision; `letter_id` is partition-offset."""

    letter_id: str
    record: DeadLetter
    key: str | None
    decision: str | None

    @property
    def source(self) -> str:
        """topic/partition/offset of the record that could not be processed."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


def letters(kafka: KafkaConnection) -> list[Letter]:
    """All dead letters that the topic still has, oldest failure first, with their decisions.

    Raises TopicUnreadable.
    """
    found: dict[str, Letter] = {}
    decisions: dict[str, str] = {}
    for stored in read_topic(kafka, PAYMENTS_DEAD_LETTERS):
        record = _letter(stored)
        if record.topic == PAYMENTS_DEAD_LETTERS and record.reason_code in _DECISIONS:
            decisions[f"{record.partition}-{record.offset}"] = record.reason_code
        else:
            letter_id = f"{stored.partition}-{stored.offset}"
            found[letter_id] = Letter(letter_id, record, stored.key, None)
    decided = (letter._replace(decision=decisions.get(name)) for name, letter in found.items())
    return sorted(decided, key=lambda letter: letter.record.failed_at_ms)


def described(letter: Letter) -> dict[str, Any]:
    """One line of the list: JSON as it is."""
    return {
        "id": letter.letter_id,
        "source": letter.source,
        "key": letter.key,
        "reason": letter.record.reason_code,
        "app": letter.record.source_app,
        "age_seconds": max(0, now_ms() - letter.record.failed_at_ms) // 1000,
        "decision": letter.decision,
    }


def shown(letter: Letter) -> dict[str, Any]:
    """Everything about one: the raw bytes in hex, and what they are if they can be decoded."""
    value = letter.record.value
    return described(letter) | {
        "detail": letter.record.detail,
        "headers": {
            name: None if text is None else text.decode("utf-8", "backslashreplace")
            for name, text in source_headers(letter.record)
        },
        "value_hex": None if value is None else value.hex(),
        "omitted_bytes": letter.record.omitted_bytes,
        "decoded": decoded(letter.record),
    }


def decoded(letter: DeadLetter) -> dict[str, Any]:
    """The value as its topic's record, or `{"undecodable": why}`."""
    if letter.topic not in TOPICS:
        return {"undecodable": f"{letter.topic} is not a topic of the catalogue"}
    if letter.value is None:
        return {"undecodable": _WITHOUT_VALUE if letter.omitted_bytes is None else _LEFT_OUT}
    cls = getattr(records, TOPICS[letter.topic].record)
    try:
        return dict(msgspec.to_builtins(decode(cls, letter.value)))
    except UndecodableRecord as error:
        return {"undecodable": str(error)}


def replay(kafka: KafkaConnection, letter_ids: Iterable[str], note: str = "") -> list[Letter]:
    """Send the records back to the apps whose letters they are, byte for byte; all or none.

    A topic with one reading app gets its record again. Where several apps read, the record goes by
    `payments.replays`, and only the letter's app takes it. The copies and the decisions are one
    Kafka transaction. Raises DecisionFailed, TopicUnreadable.
    """
    return _decide(kafka, letter_ids, DeadLetterDecision.REPLAYED, note)


def drop(kafka: KafkaConnection, letter_ids: Iterable[str], note: str) -> list[Letter]:
    """Note that the records are not to be processed. Raises DecisionFailed, TopicUnreadable."""
    return _decide(kafka, letter_ids, DeadLetterDecision.DROPPED, note)


def _decide(
    kafka: KafkaConnection, letter_ids: Iterable[str], decision: DeadLetterDecision, note: str
) -> list[Letter]:
    """The transactional id admits one decider: the topic is read after all others are fenced."""
    producer = Producer(producer_settings(kafka) | {"transactional.id": _TRANSACTIONAL_ID})
    try:
        producer.init_transactions(_TIMEOUT_SECONDS)
        chosen = _open_letters(kafka, list(dict.fromkeys(letter_ids)))
        if decision == DeadLetterDecision.REPLAYED:
            chosen = [_whole(kafka, letter) for letter in chosen]
        producer.begin_transaction()
        for letter in chosen:
            if decision == DeadLetterDecision.REPLAYED:
                _send_back(producer, letter)
            _note(producer, letter, decision, note)
        producer.commit_transaction(_TIMEOUT_SECONDS)
    except KafkaException as error:
        _abort(producer)
        raise DecisionFailed(
            f"The decision could not be written: {error.args[0].str()}. Run"
            " `paystream dead-letters list`, and decide again about the letters that are open."
        ) from error
    return [letter._replace(decision=str(decision)) for letter in chosen]


def _open_letters(kafka: KafkaConnection, letter_ids: list[str]) -> list[Letter]:
    if not 1 <= len(letter_ids) <= LETTERS_AT_ONCE_MAX:
        raise DecisionFailed(
            f"{len(letter_ids)} dead letters were named. Name 1 to {LETTERS_AT_ONCE_MAX} ids."
        )
    known = {letter.letter_id: letter for letter in letters(kafka)}
    for letter_id in letter_ids:
        if letter_id not in known:
            raise DecisionFailed(f"There is no dead letter {letter_id}; see `dead-letters list`.")
        if (earlier := known[letter_id].decision) is not None:
            raise DecisionFailed(f"Dead letter {letter_id} was {earlier} before. Leave it out.")
    return [known[letter_id] for letter_id in letter_ids]


def _whole(kafka: KafkaConnection, letter: Letter) -> Letter:
    """The letter with its record in it: one that was too large is read where it stands."""
    record = letter.record
    if record.topic not in TOPICS:
        raise DecisionFailed(
            f"Dead letter {letter.letter_id} is of {record.topic}, which is no topic of the"
            " catalogue. Drop it."
        )
    if record.omitted_bytes is None:
        return letter
    found = _read_source(kafka, record)
    if found is None or hashlib.sha256(found.value or b"").hexdigest() != record.value_sha256:
        raise DecisionFailed(
            f"The record of {letter.letter_id} is too large for a letter, and is no longer at"
            f" {letter.source}. Drop the letter."
        )
    headers = [SourceHeader(name=name, value=value) for name, value in found.raw_headers]
    return letter._replace(
        record=msgspec.structs.replace(
            record,
            value=found.value,
            source_key=found.raw_key,
            source_headers=headers,
            omitted_bytes=None,
            value_sha256=None,
        )
    )


def _abort(producer: Producer) -> None:
    """So that readers need not wait for the transaction's time-out."""
    with contextlib.suppress(KafkaException):
        producer.abort_transaction(_TIMEOUT_SECONDS)


def _send_back(producer: Producer, letter: Letter) -> None:
    """To the partition it came from, where the other records of its key are."""
    record, key = letter.record, source_key(letter.record)
    if not comes_back_by_replay(record.topic, record.source_app):
        headers = [*source_headers(record), (REPLAYED_FROM, letter.source.encode())]
        producer.produce(
            record.topic, record.value, key, partition=record.partition, headers=headers
        )
    else:
        producer.produce(PAYMENTS_REPLAYS, encode(record), key, partition=record.partition)


def _read_source(kafka: KafkaConnection, record: DeadLetter) -> StoredRecord | None:
    """The record at its place; None if retention took it."""
    try:
        found = read_partition(
            kafka, record.topic, record.partition, record.offset, record.offset + 1
        )
        return next(found, None)
    except RecordsGone:
        return None


def _note(producer: Producer, letter: Letter, decision: DeadLetterDecision, note: str) -> None:
    partition, _, offset = letter.letter_id.partition("-")
    at_ms = now_ms()
    record = DeadLetter(
        source_app=SOURCE_APP,
        topic=PAYMENTS_DEAD_LETTERS,
        partition=int(partition),
        offset=int(offset),
        key=letter.key,
        reason_code=str(decision),
        detail=note[:NOTE_CHARACTERS_MAX],
        headers={},
        value=b"",
        failed_at_ms=at_ms,
    )
    headers = record_headers(
        f"{letter.letter_id}#{decision}", f"dead_letter.{decision}", at_ms, SOURCE_APP
    )
    producer.produce(PAYMENTS_DEAD_LETTERS, encode(record), letter.key, headers=headers)
    act = to_message(audit_action(letter.letter_id, decision, note, at_ms), SOURCE_APP)
    producer.produce(act.topic, act.value, act.key, headers=act.headers)


def audit_action(
    letter_id: str, decision: DeadLetterDecision, note: str, at_ms: int
) -> AuditAction:
    """Who decided what about a dead letter, in the transaction of the decision."""
    return AuditAction(
        action_id=f"{letter_id}#{decision}",
        subject_id=letter_id,
        action=f"dead_letter.{decision}",
        outcome=AuditOutcome.APPLIED,
        actor=f"operator:{getpass.getuser()}",
        source=SOURCE_APP,
        occurred_at_ms=at_ms,
        justification=note[:NOTE_CHARACTERS_MAX] or None,
    )


def _letter(stored: StoredRecord) -> DeadLetter:
    """The record; a letter that cannot be read itself is shown as such, not hidden."""
    try:
        return decode(DeadLetter, stored.value or b"")
    except UndecodableRecord as error:
        return DeadLetter(
            source_app="unknown",
            topic=stored.topic,
            partition=stored.partition,
            offset=stored.offset,
            key=stored.key,
            reason_code="undecodable",
            detail=f"the dead letter itself cannot be read: {error}",
            headers=stored.headers,
            value=stored.value or b"",
            failed_at_ms=stored.timestamp_ms,
        )
