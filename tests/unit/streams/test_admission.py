"""What a client's record must be: each attack ends in a rejection and harms nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from schemas import ids
from schemas.codec import NewerSchema, decode, encode
from schemas.enums import RejectionReason as R
from schemas.partitioning import partition_of
from schemas.payment_commands import command_fingerprint
from schemas.records import PaymentCommand, PaymentEvent, Rejection
from schemas.signatures import sign
from schemas.topics import (
    CLIENT_COMMAND_TOPICS,
    PAYMENTS_COMMANDS,
    PAYMENTS_DEADLINES,
    PAYMENTS_EVENTS,
    PAYMENTS_NETWORK_RESULTS,
    PAYMENTS_OPERATOR_COMMANDS,
    PAYMENTS_PRODUCER_COMMANDS,
    PAYMENTS_REJECTIONS,
    PAYMENTS_SETTLEMENTS,
)
from streams.agents.admission import (
    Admission,
    MisplacedCommand,
    Unreadable,
    client_command_decoder,
)
from streams.agents.payments import PaymentsAgent
from streams.domain import Policy
from streams.domain.admission import AdmissionPolicy, MerchantTerms, ProducerKeyTerms

NOW_MS = 1_790_000_000_000
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PRODUCER_KEY = ProducerKeyTerms("pk_1", "test", PRIVATE.public_key().public_bytes_raw())
TERMS = MerchantTerms("active", (), 140, 25, None, (PRODUCER_KEY,))
MERCHANTS = {"mer_1": TERMS, "mer_2": replace(TERMS, producer_keys=())}
JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXYtaXYtaXYtaXY.Y2lwaGVydGV4dA.dGFnLXRhZw"
PAN = "4242424242424242"
_decode = client_command_decoder(PAYMENTS_PRODUCER_COMMANDS)


class Given(NamedTuple):
    """A record as the engine hands it over."""

    value: Any
    key: str | None
    partition: int
    headers: dict[str, bytes]
    topic: str
    raw: bytes
    timestamp_ms: int = NOW_MS
    offset: int = 7
    replay: tuple[str, int, int] | None = None


class KeptBatch(list[Given]):
    """A batch that keeps what is emitted."""

    def __init__(self, topic: str, *records: Given) -> None:
        super().__init__(records)
        self.topic = topic
        self.out: list[tuple[str, Any, bytes, Mapping[str, bytes]]] = []

    def emit(self, topic: str, key: Any, value: bytes, headers: Mapping[str, bytes]) -> None:
        self.out.append((topic, key, value, headers))

    def of(self, topic: str, cls: type[Any]) -> list[Any]:
        return [decode(cls, value) for name, _, value, _ in self.out if name == topic]


class Door:
    """A payments agent with its tables."""

    def __init__(self, merchants: Mapping[str, MerchantTerms] = MERCHANTS) -> None:
        self.payments: dict[str, Any] = {}
        self.archive: dict[str, Any] = {}
        self.agent = PaymentsAgent(Policy(), Admission(merchants.get, AdmissionPolicy(), 12))

    def send(
        self, command: PaymentCommand, topic: str = PAYMENTS_COMMANDS, **changes: Any
    ) -> KeptBatch:
        return self.send_record(record(command, topic, **changes))

    def send_record(self, given: Given) -> KeptBatch:
        batch = KeptBatch(given.topic, given)
        self.agent.handle(batch, self.payments, self.archive)  # type: ignore[arg-type] # a twin
        return batch

    def refused(self, command: PaymentCommand, topic: str = PAYMENTS_COMMANDS, **c: Any) -> str:
        """The reason; nothing else came of the record, and no payment has changed."""
        before = dict(self.payments)
        batch = self.send(command, topic, **c)
        assert [name for name, *_ in batch.out] == [PAYMENTS_REJECTIONS]
        assert self.payments == before
        return str(batch.of(PAYMENTS_REJECTIONS, Rejection)[0].reason)


def record(command: PaymentCommand, topic: str, **changes: Any) -> Given:
    raw = encode(command)
    partition = partition_of(command.payment_id, 12)
    headers = sign(PRIVATE, "pk_1", [raw])[0] if topic == PAYMENTS_PRODUCER_COMMANDS else {}
    given = Given(_decode(raw), command.payment_id, partition, headers, topic, raw)
    return given._replace(**changes)


def command(kind: str = "create", key: str = "order-1", **fields: Any) -> PaymentCommand:
    merchant, mode = fields.get("merchant_id", "mer_1"), fields.get("mode", "test")
    payment = fields.pop("payment_id", None) or ids.payment_id(merchant, mode, key)
    body: dict[str, Any] = {
        "command_id": ids.command_id(payment, kind, key),
        "payment_id": payment,
        "merchant_id": merchant,
        "mode": mode,
        "kind": kind,
        "fingerprint": "",
        "issued_at_ms": NOW_MS,
        "source": "producer",
        "idempotency_key": key,
    }
    if kind == "create":
        body |= {"amount_minor": 1000, "currency": "EUR", "card": JWE}
    made = PaymentCommand(**{**body, **fields})
    try:
        return (
            made
            if "fingerprint" in fields
            else replace(made, fingerprint=command_fingerprint(made))
        )
    except KeyError:
        return made


@pytest.fixture(params=sorted(CLIENT_COMMAND_TOPICS))
def topic(request: pytest.FixtureRequest) -> str:
    """Each topic that clients' commands come from."""
    return str(request.param)


def test_a_good_command_is_accepted(topic: str) -> None:
    [event] = Door().send(command(), topic).of(PAYMENTS_EVENTS, PaymentEvent)
    assert event.type == "payment.created"


def test_the_source_is_that_of_the_topic(topic: str) -> None:
    claimed = command(source="operator")
    [event] = Door().send(claimed, topic).of(PAYMENTS_EVENTS, PaymentEvent)
    assert event.source == {PAYMENTS_COMMANDS: "api"}.get(topic, "producer")


def test_the_fee_is_the_registry_s(topic: str) -> None:
    cheap = command(fee_basis_points=0, fee_fixed_minor=0)
    [event] = Door().send(cheap, topic).of(PAYMENTS_EVENTS, PaymentEvent)
    assert (event.fee_basis_points, event.fee_fixed_minor) == (140, 25)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (command(merchant_id="mer_nobody"), R.NO_SUCH_MERCHANT),
        (command("network_result", outcome="approved"), R.KIND_NOT_ACCEPTED),
        (command("settle"), R.KIND_NOT_ACCEPTED),
        (command("open_dispute", amount_minor=1), R.KIND_NOT_ACCEPTED),
        (command("resolve_unknown"), R.KIND_NOT_ACCEPTED),
        (command("archive"), R.KIND_NOT_ACCEPTED),
        (command("history"), R.KIND_NOT_ACCEPTED),
        (command("no such kind"), R.KIND_NOT_ACCEPTED),
        (command(fingerprint="0" * 64), R.FINGERPRINT_MISMATCH),
        (command(payment_id="pay_" + "z" * 26), R.PAYMENT_ID_MISMATCH),
        (command(payment_id="pay_" + "z" * 26, idempotency_key=None), R.IDEMPOTENCY_KEY_MISSING),
        (command("capture", payment_id="pay_1", idempotency_key=None), R.IDEMPOTENCY_KEY_MISSING),
        (command(command_id="cmd_1"), R.COMMAND_ID_MISMATCH),
        (command("refund", payment_id="pay_1", refund_id="ref_1"), R.COMMAND_ID_MISMATCH),
        (command(issued_at_ms=NOW_MS * 1000), R.TIME_OUT_OF_BOUNDS),
        (command(issued_at_ms=NOW_MS // 1000), R.TIME_OUT_OF_BOUNDS),
        (command(issued_at_ms=NOW_MS + 300_001), R.TIME_OUT_OF_BOUNDS),
        (command(issued_at_ms=NOW_MS - 86_400_001), R.TIME_OUT_OF_BOUNDS),
        (command(card=PAN), R.CARD_NUMBER_IN_CLEAR),
        (command(card="not a JWE"), R.CARD_NOT_ENCRYPTED),
        (command(card=f"{PAN}.a.b.c.d"), R.CARD_NUMBER_IN_CLEAR),
        (command(mode="play"), R.MODE_NOT_ALLOWED),
    ],
    ids=lambda value: None if isinstance(value, PaymentCommand) else str(value),
)
def test_what_no_client_may_say_is_refused(made: PaymentCommand, reason: R, topic: str) -> None:
    assert Door().refused(made, topic) == reason


@pytest.mark.parametrize(
    "field",
    [
        "reference",
        "reason",
        "return_url",
        "currency",
        "idempotency_key",
        "merchant_id",
        "payment_id",
        "command_id",
        "dispute_id",
        "network_reference",
        "action_url",
        "fingerprint",
        "outcome",
    ],
)
def test_a_card_number_in_any_field_is_refused_and_not_copied(field: str, topic: str) -> None:
    given = record(command(**{field: f"PAN 4242 4242-4242/4242 {field}"}), topic)
    batch = Door().send_record(given._replace(key=given.value.payment_id))
    [(name, key, value, headers)] = batch.out
    assert decode(Rejection, value).reason == R.CARD_NUMBER_IN_CLEAR
    written = repr((name, key, value, headers))
    assert "4242" not in written


@pytest.mark.parametrize(
    ("terms", "made", "reason"),
    [
        (replace(TERMS, status="suspended"), command(), R.MERCHANT_SUSPENDED),
        (replace(TERMS, status="closed"), command(), R.MERCHANT_SUSPENDED),
        (replace(TERMS, modes=("test",)), command(mode="live"), R.MODE_NOT_ALLOWED),
        (replace(TERMS, payment_amount_minor_max=999), command(), R.AMOUNT_TOO_LARGE),
    ],
)
def test_the_registry_s_limits_hold(terms: MerchantTerms, made: PaymentCommand, reason: R) -> None:
    assert Door({"mer_1": terms}).refused(made) == reason


@pytest.mark.parametrize("kind", ["create", "capture", "void", "refund", "complete_action"])
def test_every_kind_in_another_partition_is_refused(kind: str, topic: str) -> None:
    made = command(kind)
    wrong = (partition_of(made.payment_id, 12) + 1) % 12
    assert Door().refused(made, topic, partition=wrong) == R.WRONG_PARTITION


@pytest.mark.parametrize("key", [None, "", "pay_other", "�"])
def test_another_key_is_refused(key: str | None, topic: str) -> None:
    assert Door().refused(command(), topic, key=key) == R.KEY_MISMATCH


@pytest.mark.parametrize(
    "raw", [b"", b"no avro", b"\x00\x00\x00\x10\x92x", b"\x00" * 5, bytes(900_000)]
)
def test_what_is_no_command_is_refused(raw: bytes, topic: str) -> None:
    given = record(command(), topic)._replace(raw=raw, value=_decode(raw))
    [rejection] = Door().send_record(given).of(PAYMENTS_REJECTIONS, Rejection)
    assert (rejection.reason, rejection.value_bytes) == (R.UNDECODABLE, len(raw))
    assert rejection.rejection_id == f"{topic}/{given.partition}/7"


def test_a_newer_schema_waits_where_the_api_writes_and_is_refused_of_a_producer() -> None:
    """A producer may make up any schema id: it must not stop a partition."""
    newer = b"\x00\x00\x00\x27\x0f" + encode(command())[5:]
    with pytest.raises(NewerSchema):
        client_command_decoder(PAYMENTS_COMMANDS)(newer)
    assert isinstance(client_command_decoder(PAYMENTS_PRODUCER_COMMANDS)(newer), Unreadable)


def test_a_replay_of_an_old_command_is_accepted() -> None:
    """An operator handles it again after days: it was in time when it came."""
    old = command(issued_at_ms=NOW_MS - 30 * 86_400_000)
    assert Door().refused(old) == R.TIME_OUT_OF_BOUNDS
    replayed = Door().send(old, replay=("payments.replays", 0, 0))
    assert replayed.of(PAYMENTS_EVENTS, PaymentEvent)


def test_a_stranger_changes_nothing_of_another_s_payment(topic: str) -> None:
    door = Door()
    door.send(command(), topic)
    theirs = command("refund", "key-2", merchant_id="mer_2", payment_id=command().payment_id)
    headers: dict[str, Any] = {}
    if topic == PAYMENTS_PRODUCER_COMMANDS:
        other = replace(TERMS, producer_keys=(PRODUCER_KEY,))
        door.agent = PaymentsAgent(
            Policy(), Admission({**MERCHANTS, "mer_2": other}.get, AdmissionPolicy(), 12)
        )
    assert door.refused(theirs, topic, **headers) == R.NO_SUCH_PAYMENT


def signed(made: PaymentCommand, key: Ed25519PrivateKey, key_id: str = "pk_1") -> dict[str, bytes]:
    return sign(key, key_id, [encode(made)])[0]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, R.SIGNATURE_MISSING),
        ({"signature_key_id": b"pk_1"}, R.SIGNATURE_MISSING),
        (signed(command(), STRANGER), R.SIGNATURE_INVALID),
        (signed(command(), PRIVATE, "pk_2"), R.KEY_NOT_GRANTED),
        (signed(command(key="order-2"), PRIVATE), R.SIGNATURE_INVALID),
        ({**signed(command(), PRIVATE), "signature_key_id": b"\xff"}, R.KEY_NOT_GRANTED),
    ],
)
def test_a_producer_proves_itself(headers: dict[str, bytes], reason: R) -> None:
    assert Door().refused(command(), PAYMENTS_PRODUCER_COMMANDS, headers=headers) == reason


def test_a_producer_speaks_only_for_merchants_that_granted_its_key() -> None:
    theirs = command(merchant_id="mer_2")
    assert Door().refused(theirs, PAYMENTS_PRODUCER_COMMANDS) == R.KEY_NOT_GRANTED


def test_a_test_key_signs_nothing_live() -> None:
    live = command(mode="live")
    assert Door().refused(live, PAYMENTS_PRODUCER_COMMANDS) == R.KEY_NOT_GRANTED


def test_an_expired_key_signs_nothing() -> None:
    key = replace(PRODUCER_KEY, expires_at_ms=NOW_MS)
    door = Door({"mer_1": replace(TERMS, producer_keys=(key,))})
    assert door.refused(command(), PAYMENTS_PRODUCER_COMMANDS) == R.KEY_NOT_GRANTED


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        (PAYMENTS_NETWORK_RESULTS, "settle"),
        (PAYMENTS_NETWORK_RESULTS, "create"),
        (PAYMENTS_SETTLEMENTS, "network_result"),
        (PAYMENTS_DEADLINES, "capture"),
        (PAYMENTS_OPERATOR_COMMANDS, "create"),
        (PAYMENTS_OPERATOR_COMMANDS, "network_result"),
    ],
)
def test_a_kind_counts_only_on_its_topic(topic: str, kind: str) -> None:
    with pytest.raises(MisplacedCommand, match=f"is on {topic}"):
        Door().send(command(kind), topic)


@pytest.mark.parametrize(
    "fields",
    [
        {"merchant_id": "m" * 10_000},
        {"reference": "r" * 256},
        {"return_url": "https://shop.example/" + "x" * 2_048},
        {"card": "e" * 8_193},
        {"history": b"events"},
    ],
)
def test_a_text_beyond_its_bound_is_refused_and_not_copied(fields: dict[str, Any]) -> None:
    [rejection] = Door().send(command(**fields)).of(PAYMENTS_REJECTIONS, Rejection)
    assert rejection.reason == R.FIELD_INVALID
    assert len(rejection.merchant_id or "") <= 128


@pytest.mark.parametrize("field", ["merchant_id", "mode", "fingerprint", "command_id", "kind"])
@pytest.mark.parametrize("wrong", [{"key": "pay_other"}, {"timestamp_ms": 1}, {"partition": 11}])
def test_a_card_number_is_found_whatever_else_is_wrong(field: str, wrong: dict[str, Any]) -> None:
    given = record(command(**{field: PAN}), PAYMENTS_COMMANDS, **wrong)
    headers = {"signature_key_id": PAN.encode()}
    [(name, key, value, sent)] = Door().send_record(given._replace(headers=headers)).out
    assert decode(Rejection, value).reason == R.CARD_NUMBER_IN_CLEAR
    assert PAN not in repr((name, key, value, sent))


def test_a_card_number_in_a_header_is_not_copied() -> None:
    headers = {**signed(command(), PRIVATE), "signature_key_id": PAN.encode()}
    batch = Door().send(command(), PAYMENTS_PRODUCER_COMMANDS, headers=headers)
    [(_, _, value, _)] = batch.out
    assert decode(Rejection, value).reason == R.KEY_NOT_GRANTED
    assert PAN.encode() not in value
