"""The wire format, and what it refuses."""

import json
from io import BytesIO
from pathlib import Path

import fastavro
import pytest

from runtime.dead_letters import source_headers
from schemas import registry
from schemas.codec import NEWER_IDS_MAX, NewerSchema, UndecodableRecord, decode, encode
from schemas.codegen import generate
from schemas.records import (
    ApiKey,
    DeadLetter,
    Endpoint,
    Merchant,
    PaymentCommand,
    PayoutItem,
    SourceHeader,
)

COMMAND = PaymentCommand(
    command_id="cmd_1",
    payment_id="pay_1",
    merchant_id="mer_1",
    mode="test",
    kind="create",
    fingerprint="f",
    issued_at_ms=1_700_000_000_000,
    source="api",
    amount_minor=1999,
    currency="EUR",
)
MERCHANT = Merchant(
    merchant_id="mer_1",
    version=3,
    name="Ada's shop",
    status="active",
    registered_at_ms=1,
    updated_at_ms=2,
    payout_schedule="daily",
    fee_basis_points=140,
    fee_fixed_minor=25,
    api_keys=[ApiKey(key_id="k", mode="test", key_hash="h", expires_at_ms=9)],
    endpoints=[Endpoint(endpoint_id="we_1", url="u", encrypted_secrets=["a", "b"], enabled=True)],
)
LETTER = DeadLetter(
    source_app="a",
    topic="t",
    partition=0,
    offset=7,
    reason_code="undecodable",
    detail="d",
    headers={"x": b"\xff\x00"},
    value=None,
    failed_at_ms=1,
    source_key=b"\xff",
    source_headers=[SourceHeader(name="x", value=None), SourceHeader(name="x", value=b"\xff")],
)


@pytest.mark.parametrize("record", [COMMAND, MERCHANT, LETTER])
def test_a_record_survives_the_wire(record: object) -> None:
    assert decode(type(record), encode(record)) == record


def test_the_prefix_is_confluents() -> None:
    data = encode(COMMAND)
    schema_id = registry.latest()["PaymentCommand"].schema_id
    assert data[0] == 0
    assert int.from_bytes(data[1:5], "big") == schema_id


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "0x00"),
        (b"{}", "0x00"),
        (b"\x01\x00\x00\x00\x01abc", "0x00"),
        (b"\x00\x00\x00\xff\xff", "schema id 65535"),
        (encode(COMMAND)[:-3], "not a valid payment_command"),
        (encode(COMMAND) + b"x", "left over"),
        (encode(MERCHANT), "expected a payment_command"),
    ],
)
def test_what_is_not_a_command_is_refused_with_a_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(UndecodableRecord, match=complaint):
        decode(PaymentCommand, data)


def test_an_id_after_those_of_this_release_is_a_newer_release() -> None:
    known = max(registry.contracts())
    for newer in (known + 1, known + NEWER_IDS_MAX):
        with pytest.raises(NewerSchema, match="update this process"):
            decode(PaymentCommand, b"\x00" + newer.to_bytes(4, "big") + b"x")
    for garbage in (0, known + NEWER_IDS_MAX + 1, 2**32 - 1):
        with pytest.raises(UndecodableRecord) as raised:
            decode(PaymentCommand, b"\x00" + garbage.to_bytes(4, "big") + b"x")
        assert type(raised.value) is UndecodableRecord


def test_a_letter_of_version_1_is_read() -> None:
    contract = next(c for c in registry.contracts().values() if c.record == "dead_letter")
    assert contract.version == 1
    buffer = BytesIO(b"")
    old = {"source_app": "a", "topic": "t", "partition": 0, "offset": 7, "key": None}
    old |= {
        "reason_code": "r",
        "detail": "d",
        "headers": {"x": b"1"},
        "value": b"",
        "failed_at_ms": 1,
    }
    fastavro.schemaless_writer(buffer, contract.parsed, old)
    data = b"\x00" + contract.schema_id.to_bytes(4, "big") + buffer.getvalue()
    letter = decode(DeadLetter, data)
    assert (letter.value, letter.headers, letter.source_headers) == (b"", {"x": b"1"}, [])
    assert source_headers(letter) == [("x", b"1")]


def test_every_truncation_is_refused_or_shorter_never_a_crash() -> None:
    whole = encode(COMMAND)
    for length in range(len(whole)):
        with pytest.raises(UndecodableRecord):
            decode(PaymentCommand, whole[:length])


def test_generated_files_are_fresh() -> None:
    assert generate.main(["--check"]) == 0


def test_a_contract_that_changed_in_place_refuses_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = json.loads(json.dumps([*registry.read_documents().items()]))
    changed = {tuple(name): document for name, document in documents}
    changed["payout_item", 1]["fields"][0]["name"] = "renamed"
    monkeypatch.setattr(registry, "read_documents", lambda: changed)
    with pytest.raises(registry.ChangedContract, match=r"payout_item\.v1"):
        registry.contracts.__wrapped__()


def test_ids_are_unique_and_every_record_has_one() -> None:
    lock = registry.read_lock()
    assert len({entry["id"] for entry in lock.values()}) == len(lock)
    assert len(lock) == len(list((Path(registry.__file__).parent / "avro").glob("*.avsc")))


def test_optional_fields_may_be_absent() -> None:
    item = PayoutItem(
        item_id="i",
        merchant_id="m",
        mode="test",
        currency="EUR",
        amount_minor=-5,
        kind="refund",
        payment_id="p",
        occurred_at_ms=0,
    )
    assert decode(PayoutItem, encode(item)).amount_minor == -5


def test_a_tombstone_is_no_record() -> None:
    with pytest.raises(UndecodableRecord, match="no value"):
        decode(PaymentCommand, None)
