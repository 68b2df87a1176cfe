"""Where verify looks for card numbers: each text of a record, a document or a line by itself."""

import pytest

from devstack.simulators.cards import CARDS
from paystream.verify.card_numbers import card_numbers_in
from schemas.codec import encode
from schemas.records import DeadLetter, PaymentCommand

NUMBER = "4111111111111111"


def command(**fields: str) -> bytes:
    known = {"command_id": "cmd_1", "payment_id": "pay_1", "merchant_id": "mer_1", "mode": "live"}
    more = {"kind": "create", "fingerprint": "f", "source": "api"}
    return encode(PaymentCommand(**{**known, **more, **fields}, issued_at_ms=1_790_000_000_000))


def letter(value: bytes) -> bytes:
    return encode(
        DeadLetter(
            source_app="a",
            topic="t",
            partition=0,
            offset=7,
            reason_code="undecodable",
            detail="d",
            headers={"x": b"y"},
            value=value,
            failed_at_ms=1_790_000_000_000,
        )
    )


@pytest.mark.parametrize(
    "data",
    [
        NUMBER.encode(),
        b"pan=4111-1111-1111-1111;",
        b"\x00\x20" + NUMBER.encode() + b"\x02",
        b"\xff\xfe" + NUMBER.encode(),
        command(reference=f"card {NUMBER}"),
        command(card=NUMBER),
        letter(command(reference="4111 1111 1111 1111")),
        letter(NUMBER.encode()),
        b'{"a": {"b": ["4111\\u20041111\\u20041111\\u20041111"]}}',
        b'{"4111111111111111": 1}',
        b'{"pan": 4111111111111111}',
        b'{"a": "\\uff14\\uff11\\uff11\\uff11 1111 1111 1111"}',
    ],
)
def test_a_card_number_is_found(data: bytes) -> None:
    assert list(card_numbers_in(data)) == [NUMBER]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.number)
def test_test_numbers_are_found_wherever_they_stand(card: object) -> None:
    number: str = card.number  # type: ignore[attr-defined] # a parametrized Card
    assert set(card_numbers_in(f"abc{number}def".encode())) == {number}


@pytest.mark.parametrize(
    "data",
    [
        b'["4111", "1111", "1111", "1111"]',
        b'{"a": 4111, "b": 1111, "c": 1111, "d": 1111}',
        b'{"seconds": 0.4111111111111111, "ratio": 4.111111111111111}',
        command(reference="4111", idempotency_key="111111111111"),
        b"1790000000000",
        b"",
        b"\x00\x00\x00\x00\x06 cut off",
        b"{",
    ],
)
def test_neighbours_and_measures_make_no_number(data: bytes) -> None:
    assert list(card_numbers_in(data)) == []
