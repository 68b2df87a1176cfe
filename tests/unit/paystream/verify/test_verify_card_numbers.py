"""What counts as a card number, and what does not."""

import pytest

from devstack.simulators.cards import CARDS
from paystream.verify.card_numbers import card_numbers_in
from schemas.pan import passes_luhn


@pytest.mark.parametrize(
    "text",
    [
        b"4111111111111111",
        b"pan=4111-1111-1111-1111;",
        b'"5555 5555 5555 4444"',
        b"2223003122003222",
        b"378282246310005",
        b"6011111111111117",
        b"36148900647913",
        b"3530111333300000",
        b"6205500000000000004",
        b"\x00\x20" + b"4111111111111111" + b"\x02",
    ],
)
def test_card_numbers_are_found(text: bytes) -> None:
    assert len(list(card_numbers_in(text))) == 1


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.number)
def test_test_numbers_are_found_wherever_they_stand(card: object) -> None:
    number = card.number.encode()  # type: ignore[attr-defined] # a parametrized Card
    assert list(card_numbers_in(b"abc" + number + b"def")) == [number]


@pytest.mark.parametrize(
    "text",
    [
        b"1790000000000",  # epoch milliseconds: no issuer begins with 17
        b"1790000000000000000",  # nanoseconds
        b"4111111111111112",  # fails Luhn
        b"41111111111111",  # a length that Visa does not issue
        b"x4111111111111111",  # part of a word, as in base64
        b"4111111111111111_a",
        b"12345678901234567890",  # longer than any card number
        b"9999999999999995",  # no issuer
        b"pay_0123456789abcdefghjkmnpqrs",
        b"00-0af7651916cd43dd8448eb211c80319c-4111111111111103-01",  # a trace's parent id
        b'{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-5555555555554477-00"}',
    ],
)
def test_other_digits_are_left_alone(text: bytes) -> None:
    assert list(card_numbers_in(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        b"00-0af7651916cd43dd-4012888888881881-01",  # a trace id is twice as long
        b"01-0af7651916cd43dd8448eb211c80319c-4012888888881881-01",  # no such version
        b"00-0af7651916cd43dd8448eb211c80319c-4242424242424242-01",  # a test number all the same
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 4012888888881881",
    ],
)
def test_a_trace_hides_nothing_else(text: bytes) -> None:
    assert len(list(card_numbers_in(text))) == 1


def test_luhn_is_the_check_of_iso_7812() -> None:
    assert passes_luhn("79927398713")
    assert [d for d in range(10) if passes_luhn(f"7992739871{d}")] == [3]
