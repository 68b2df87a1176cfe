"""What a client's record must be before its payment is asked: refusals as a list of checks (pure).

A record that is refused here changes no payment and has no event. Otherwise any program that may
write to the topic could fill another merchant's payment with rejected commands.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import fields, replace

from schemas.enums import CommandKind, MerchantStatus, Mode, RejectionReason
from schemas.ids import command_id, payment_id
from schemas.pan import has_card_number, is_compact_jwe
from schemas.partitioning import partition_of
from schemas.payment_commands import CLIENT_COMMAND_KINDS, command_fingerprint, refund_id
from schemas.records import PaymentCommand

_MS = 1000
_MODES = frozenset(Mode)


class AdmissionPolicy(Struct, frozen=True, kw_only=True):
    """Section [admission], PAYSTREAM_ADMISSION_*: what the payments agent accepts of clients."""

    command_age_seconds_max: int = 86_400
    """A command may be this much older than its record: producers queue during outages."""
    command_ahead_seconds_max: int = 300
    """A command may be this much younger than its record: clocks differ."""
    merchants_age_seconds_max: float = 60.0
    """Nothing of clients is decided when the copy of all merchants is older than this."""
    merchants_refresh_seconds: float = 10.0
    """Longest wait for the merchants topic before a command of an unknown merchant is refused."""


class ProducerKeyTerms(Struct, frozen=True, array_like=True):
    """A key that may sign commands of the merchant in one mode."""

    key_id: str
    mode: str
    public_key: bytes
    expires_at_ms: int | None = None


class MerchantTerms(Struct, frozen=True, array_like=True):
    """What the registry says about a merchant, as far as commands need it."""

    status: str
    modes: tuple[str, ...]
    fee_basis_points: int
    fee_fixed_minor: int
    payment_amount_minor_max: int | None = None
    producer_keys: tuple[ProducerKeyTerms, ...] = ()


class Refusal(NamedTuple):
    """Why a record is not accepted; `detail` has no value of the record."""

    reason: RejectionReason
    detail: str


class Subject(NamedTuple):
    """A client's command with what its record and the registry say."""

    command: PaymentCommand
    key: str | None
    partition: int
    partitions: int
    recorded_at_ms: int
    terms: MerchantTerms | None
    policy: AdmissionPolicy


def refusal(subject: Subject) -> Refusal | None:
    """The first reason why the command is not accepted; None if it is."""
    for check in _CHECKS:
        found = check(subject)
        if found is not None:
            return found
    return None


def with_terms(command: PaymentCommand, terms: MerchantTerms) -> PaymentCommand:
    """The command with the merchant's fee: what the command says about it does not count."""
    if command.kind != CommandKind.CREATE:
        return command
    percent, fixed = terms.fee_basis_points, terms.fee_fixed_minor
    if (command.fee_basis_points, command.fee_fixed_minor) == (percent, fixed):
        return command
    return replace(command, fee_basis_points=percent, fee_fixed_minor=fixed)


CHARACTERS_MAX = 255
"""Of each text of a command, but for those of LONGER; as the API bounds them."""
LONGER: Mapping[str, int] = {"card": 8_192, "return_url": 2_048, "action_url": 2_048}


def _lengths(subject: Subject) -> Refusal | None:
    """Before anything else: a text of a megabyte would be copied into each event."""
    for name in _TEXT_FIELDS:
        text, bound = getattr(subject.command, name), LONGER.get(name, CHARACTERS_MAX)
        if text is not None and len(text) > bound:
            return Refusal(
                RejectionReason.FIELD_INVALID,
                f"{name} has more than {bound} characters. Shorten it.",
            )
    if subject.command.history is not None:
        return Refusal(RejectionReason.FIELD_INVALID, "history is not for clients. Leave it out.")
    return None


def _kind(subject: Subject) -> Refusal | None:
    if subject.command.kind in CLIENT_COMMAND_KINDS:
        return None
    kinds = ", ".join(sorted(CLIENT_COMMAND_KINDS))
    return Refusal(
        RejectionReason.KIND_NOT_ACCEPTED, f"Clients may not send this kind. Send one of {kinds}."
    )


def _place(subject: Subject) -> Refusal | None:
    payment = subject.command.payment_id
    if subject.key != payment:
        return Refusal(
            RejectionReason.KEY_MISMATCH,
            "The record's key is not the payment id. Produce the command with that key.",
        )
    expected = partition_of(payment, subject.partitions)
    if subject.partition != expected:
        return Refusal(
            RejectionReason.WRONG_PARTITION,
            f"The payment belongs to partition {expected}, the record is in partition"
            f" {subject.partition}. Produce with the murmur2 partitioner of the Java client"
            " (librdkafka: partitioner=murmur2_random).",
        )
    return None


def _time(subject: Subject) -> Refusal | None:
    policy = subject.policy
    oldest_ms = subject.recorded_at_ms - policy.command_age_seconds_max * _MS
    newest_ms = subject.recorded_at_ms + policy.command_ahead_seconds_max * _MS
    if oldest_ms <= subject.command.issued_at_ms <= newest_ms:
        return None
    return Refusal(
        RejectionReason.TIME_OUT_OF_BOUNDS,
        f"issued_at_ms is not within {policy.command_age_seconds_max} s before and"
        f" {policy.command_ahead_seconds_max} s after the record's time. Send epoch milliseconds"
        " of now.",
    )


def _card(subject: Subject) -> Refusal | None:
    command = subject.command
    texts = [text for text in _texts_of(command) if text is not None]
    if has_card_number("\n".join(texts)) and any(map(has_card_number, texts)):
        return _card_in_clear()
    if command.card is None or is_compact_jwe(command.card):
        return None
    if has_card_number(command.card):
        return _card_in_clear()
    return Refusal(
        RejectionReason.CARD_NOT_ENCRYPTED,
        "card is not a compact JWE. Encrypt card data to the key at /.well-known/jwks.json.",
    )


_TEXT_FIELDS = tuple(
    field.name for field in fields(PaymentCommand) if field.type in (str, str | None)
)
_texts_of = attrgetter(*(name for name in _TEXT_FIELDS if name != "card"))


def _card_in_clear() -> Refusal:
    return Refusal(
        RejectionReason.CARD_NUMBER_IN_CLEAR,
        "A field holds a card number in clear. Encrypt card data to the key at"
        " /.well-known/jwks.json, and put no card number anywhere else.",
    )


def _merchant(subject: Subject) -> Refusal | None:
    terms, command = subject.terms, subject.command
    if terms is None:
        return Refusal(
            RejectionReason.NO_SUCH_MERCHANT,
            "The merchant is not registered. Register it, or correct merchant_id.",
        )
    if terms.status != MerchantStatus.ACTIVE:
        return Refusal(
            RejectionReason.MERCHANT_SUSPENDED,
            "The merchant is suspended. Ask the operators.",
        )
    if command.mode not in (terms.modes or _MODES):
        return Refusal(
            RejectionReason.MODE_NOT_ALLOWED,
            "The merchant may not use this mode. Ask the operators.",
        )
    amount_minor_max = terms.payment_amount_minor_max
    if amount_minor_max is not None and (command.amount_minor or 0) > amount_minor_max:
        return Refusal(
            RejectionReason.AMOUNT_TOO_LARGE,
            f"The merchant's limit is {amount_minor_max} minor units. Send less, or ask the"
            " operators.",
        )
    return None


def _identity(subject: Subject) -> Refusal | None:
    command = subject.command
    key, payment = command.idempotency_key, command.payment_id
    if not key:
        return Refusal(
            RejectionReason.IDEMPOTENCY_KEY_MISSING,
            "idempotency_key is missing. Send the key from which the command's id derives.",
        )
    if command.kind == CommandKind.CREATE and payment != payment_id(
        command.merchant_id, command.mode, key
    ):
        return Refusal(
            RejectionReason.PAYMENT_ID_MISMATCH,
            "payment_id does not derive from merchant, mode and idempotency_key.",
        )
    refund = refund_id(payment, key) if command.kind == CommandKind.REFUND else None
    if command.command_id != command_id(payment, command.kind, key) or (
        command.refund_id not in (None, refund)
    ):
        return Refusal(
            RejectionReason.COMMAND_ID_MISMATCH,
            "command_id or refund_id does not derive from payment, kind and idempotency_key.",
        )
    if command.fingerprint != command_fingerprint(command):
        return Refusal(
            RejectionReason.FINGERPRINT_MISMATCH,
            "fingerprint is not that of the command's content.",
        )
    return None


_CHECKS: tuple[Callable[[Subject], Refusal | None], ...] = (
    _lengths,
    _card,
    _kind,
    _place,
    _time,
    _merchant,
    _identity,
)
