"""Which records of the command topics become commands, and what becomes of the others.

Topics of our own processes are protected by the broker's access list: a record that does not belong
there is a fault, and goes to the dead letters. What clients write may be anything: a record that is
not accepted becomes a rejection, which the producer can read, and the worker goes on.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from engine import ProducerRecord, Record
from runtime.clock import now_ms
from runtime.telemetry import counter
from schemas.codec import NewerSchema, UndecodableRecord, decoder, encode
from schemas.enums import RejectionReason
from schemas.headers import (
    SIGNATURE,
    SIGNATURE_KEY_ID,
    TRACEPARENT,
    record_headers,
)
from schemas.pan import redact
from schemas.records import PaymentCommand, Rejection
from schemas.signatures import SignatureRefused, SignatureVerifier
from schemas.topics import (
    CLIENT_COMMAND_TOPICS,
    PAYMENTS_PRODUCER_COMMANDS,
    PAYMENTS_REJECTIONS,
    TOPICS,
)
from streams.domain.admission import (
    AdmissionPolicy,
    MerchantTerms,
    Refusal,
    Subject,
    refusal,
    with_terms,
)
from workers.catalogue import WORKERS

TEXT_CHARACTERS_MAX = 128
"""What a rejection keeps of an id that a client made up."""
_SOURCE = WORKERS["payments"].group


class Unreadable(NamedTuple):
    """A client's record that is no command."""

    detail: str


class MisplacedCommand(Exception):
    """A command of our own has another key than its payment's, or is on the wrong topic."""


def client_command_decoder(topic: str) -> Callable[[bytes], PaymentCommand | Unreadable]:
    """Decodes without raising: what a client wrote is no fault of this worker.

    Raises NewerSchema on the API's topic, for which the worker waits: an API of a newer release
    writes there. A producer is refused: it may make up any schema id, and must stop no partition.
    """
    decode_command = decoder(PaymentCommand)

    def decode_record(value: bytes | None) -> PaymentCommand | Unreadable:
        try:
            command: PaymentCommand = decode_command(value or b"")
        except NewerSchema as error:
            if topic != PAYMENTS_PRODUCER_COMMANDS:
                raise
            return Unreadable(f"{error} Use the newest schema that /subjects lists.")
        except UndecodableRecord as error:
            detail = f"The value is no PaymentCommand: {error}. Use the schema at /subjects."
            return Unreadable(detail)
        return command

    return decode_record


def named_merchants(records: Iterable[Record]) -> set[str]:
    """The merchants that clients' commands name."""
    found = (record.value for record in records)
    return {command.merchant_id for command in found if isinstance(command, PaymentCommand)}


class Admission:
    """Decides which records are commands; `partitions` of each topic."""

    def __init__(
        self,
        terms_of: Callable[[str], MerchantTerms | None],
        policy: AdmissionPolicy,
        partitions: int,
    ) -> None:
        self._terms_of = terms_of
        self._policy = policy
        self._partitions = partitions
        self._signatures = SignatureVerifier()
        self._rejections = counter("paystream_rejections_total")

    def admit(self, topic: str, record: Record) -> PaymentCommand | Refusal:
        """The command with the source of its topic and the terms of its merchant, or why not.

        Raises MisplacedCommand for a record on a topic of our own processes.
        """
        command = record.value
        if topic not in CLIENT_COMMAND_TOPICS:
            return _own(topic, record)
        if isinstance(command, Unreadable):
            return Refusal(RejectionReason.UNDECODABLE, command.detail)
        terms = self._terms_of(command.merchant_id)
        subject = Subject(
            command,
            record.key,
            record.partition,
            self._partitions,
            command.issued_at_ms if record.replay else record.timestamp_ms,
            terms,
            self._policy,
        )
        found = refusal(subject)
        if found is None and topic == PAYMENTS_PRODUCER_COMMANDS:
            found = self._unsigned(record, command, terms)
        if found is not None:
            return found
        assert terms is not None
        return with_terms(with_source(topic, command), terms)

    def rejection(self, record: Record, found: Refusal) -> ProducerRecord:
        """The record that reports a refusal; it holds nothing of the value but its digest."""
        self._rejections.labels(record.topic, found.reason).inc()
        rejection = rejection_of(record, found, now_ms())
        headers = record_headers(
            rejection.rejection_id,
            "command.refused",
            rejection.rejected_at_ms,
            _SOURCE,
            record.headers.get(TRACEPARENT),
        )
        value = encode(rejection)
        return ProducerRecord(PAYMENTS_REJECTIONS, rejection.rejection_id, value, headers)

    def _unsigned(
        self, record: Record, command: PaymentCommand, terms: MerchantTerms | None
    ) -> Refusal | None:
        headers = record.headers
        key_id = headers.get(SIGNATURE_KEY_ID)
        if key_id is None or SIGNATURE not in headers:
            return Refusal(
                RejectionReason.SIGNATURE_MISSING,
                f"The headers {SIGNATURE_KEY_ID} and {SIGNATURE} are missing. Sign the value with a"
                " key that is registered for the merchant.",
            )
        name = key_id.decode("utf-8", "replace")
        for key in terms.producer_keys if terms else ():
            expired = key.expires_at_ms is not None and key.expires_at_ms <= record.timestamp_ms
            if key.key_id == name and key.mode == command.mode and not expired:
                break
        else:
            return Refusal(
                RejectionReason.KEY_NOT_GRANTED,
                "The signature's key is not registered for this merchant and mode, or it has"
                " expired. Register the key for the merchant.",
            )
        try:
            self._signatures.check(record.raw, headers, key.public_key)
        except SignatureRefused as error:
            return Refusal(
                RejectionReason.SIGNATURE_INVALID, f"{error}. Sign exactly the bytes of the value."
            )
        return None


def with_source(topic: str, command: PaymentCommand) -> PaymentCommand:
    """The command with the source that its topic gives it. Raises MisplacedCommand."""
    source = TOPICS[topic].commands.get(command.kind)
    if source is None:
        kinds = ", ".join(TOPICS[topic].commands)
        raise MisplacedCommand(
            f"A command of kind {command.kind!r} is on {topic}, which accepts {kinds}. Send it to"
            " the topic that accepts its kind."
        )
    return command if command.source == source else replace(command, source=source)


def _own(topic: str, record: Record) -> PaymentCommand:
    command: PaymentCommand = record.value
    if record.key != command.payment_id:
        raise MisplacedCommand(
            f"The command for {command.payment_id!r} has the key {record.key!r}. "
            "Produce it with the payment id as its key."
        )
    return with_source(topic, command)


def rejection_of(record: Record, found: Refusal, rejected_at_ms: int) -> Rejection:
    """What is kept of a record that was refused."""
    raw = record.raw
    in_clear = found.reason == RejectionReason.CARD_NUMBER_IN_CLEAR
    named = not in_clear and isinstance(record.value, PaymentCommand)
    return Rejection(
        rejection_id=f"{record.topic}/{record.partition}/{record.offset}",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=found.reason,
        detail=found.detail,
        value_bytes=len(raw),
        value_sha256=hashlib.sha256(raw).hexdigest(),
        recorded_at_ms=record.timestamp_ms,
        rejected_at_ms=rejected_at_ms,
        **(_names(record) if named else {}),
    )


def _names(record: Record) -> dict[str, str | None]:
    """What a command says of itself; a client may have made it up."""
    command: PaymentCommand = record.value
    key_id = record.headers.get(SIGNATURE_KEY_ID)
    return {
        "command_id": _kept(command.command_id),
        "fingerprint": _kept(command.fingerprint),
        "payment_id": _kept(command.payment_id),
        "merchant_id": _kept(command.merchant_id),
        "mode": _kept(command.mode),
        "kind": _kept(command.kind),
        "signature_key_id": None if key_id is None else _text(key_id),
    }


def _text(value: bytes) -> str:
    return _kept(value[:TEXT_CHARACTERS_MAX].decode("utf-8", "replace"))


def _kept(text: str) -> str:
    """What a rejection keeps of a text: its beginning, without card numbers."""
    return redact(text[:TEXT_CHARACTERS_MAX])
