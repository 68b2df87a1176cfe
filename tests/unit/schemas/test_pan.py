"""Card numbers in clear are found wherever they hide; what has only such digits passes."""

import base64
import json
import time
import unicodedata
import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.ids import fingerprint, payment_id
from schemas.pan import (
    REMOVED,
    SEPARATORS_MAX,
    TEST_CARD_NUMBERS,
    document_has_card_number,
    find_card_numbers,
    has_card_number,
    is_compact_jwe,
    passes_luhn,
    redact,
)

PAN = "4242424242424242"
OTHER = "4111111111111111"
LENGTHS = {
    "4": (13, 16, 19),
    "51": (16,),
    "2221": (16,),
    "2720": (16,),
    "34": (15,),
    "37": (15,),
    "6011": (16, 19),
    "65": (16, 19),
    "36": (14, 16, 19),
    "3528": (16, 19),
    "62": (16, 17, 18, 19),
    "6304": (13, 14, 15, 16, 17, 18, 19),
}
"""Beginning -> lengths that its scheme issues."""
DIGITS = [chr(code) for code in range(0x110000) if chr(code).isdecimal()]
SEPARATOR = st.characters(exclude_categories=["L", "N", "Cs"])
IBANS = [
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "CH9300762011623852957",
    "BE68539007547034",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
    "IT60X0542811101000000123456",
    "ES9121000418450200051332",
    "PL61109010140000071219812874",
    "DE02700100800030876808",
]
"""Examples of the IBAN registry, and one whose digits look like a card number's."""


def complete(digits: str) -> str:
    """With its check digit."""
    return next(number for d in "0123456789" if passes_luhn(number := digits + d))


def header(**fields: str) -> str:
    """A JWE's protected header."""
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()


HEADER = header(alg="ECDH-ES", enc="A256GCM")


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    beginning = draw(st.sampled_from(sorted(LENGTHS)))
    length = draw(st.sampled_from(LENGTHS[beginning]))
    middle = length - len(beginning) - 1
    return complete(beginning + draw(st.text("0123456789", min_size=middle, max_size=middle)))


@pytest.mark.parametrize(
    "text",
    [
        PAN,
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "4242/4242/4242/4242",
        "4242_4242_4242_4242",
        "4242,4242,4242,4242",
        "4242:4242:4242:4242",
        "4242  4242  4242  4242",
        "4242\t4242\t4242\t4242",
        "4242\u30004242\u30004242\u30004242",
        "4242\u200b4242\u200b4242\u200b4242",
        "4242\u00a04242\u20114242\ufeff4242",
        "\uff14\uff12" * 8,
        "\u0664\u0662" * 8,
        "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
        "card 4242 4242 4242 4242 12/28",
        "12 4242424242424242",
        "PAN4111111111111111",
        "4111111111111111_a",
        "378282246310005",
        "3782 822463 10005",
        "3056 930902 5904",
        "4222222222222",
        "6304 0000 0000 0000 000",
        "6205500000000000004",
        "3530111333300000",
        "2223003122003222",
        "x4242424242424242y",
        "9994242424242424242424",
        "99994111111111111111",
        "41111111111111111228123",
        "42424242-4242-4242-4242-424242424242",
        "DE89370400440532013000 4111 1111 1111 1111",
        "00-0af7651916cd43dd-4012888888881881-01",
        "01-0af7651916cd43dd8448eb211c80319c-4012888888881881-01",
        "00-0af7651916cd43dd8448eb211c80319c-4242424242424242-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 4012888888881881",
    ],
)
def test_finds_card_numbers(text: str) -> None:
    assert has_card_number(text)
    assert not has_card_number(redact(text))


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "424242424242",
        "5123456789010",
        "4711-2026-000008",
        "601112345678904",
        "41111111111111",
        "1790000000000",
        "1790000000000000000",
        "9999999999999995",
        "12345678901234567890",
        "order 2026-11-21",
        "2026-11-28 12:34:56.789123",
        "+49 30 1234567",
        "+49 151 23456789 0",
        "",
        "key-019ad0364222222222222f0a1b2c3d4e",
        "019ad036-4222-4222-8422-424242424242",
        "order 1795259183735",
        "pay_0v3c6z5t5a84y20eekxtjkw9t3",
        "0af4111111111111111bc9",
        "0.4111111111111111",
        "00-0af7651916cd43dd8448eb211c80319c-4111111111111103-01",
        '{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-5555555555554477-00"}',
        "4111111111111112",
        "411 1111 111111 111",
        "4111....1111....1111....1111",
        "\u00b2" * 30,
    ],
)
def test_lets_other_texts_pass(text: str) -> None:
    assert find_card_numbers(text) == []
    assert not has_card_number(text)
    assert redact(text) == text


def test_the_place_is_that_in_the_text() -> None:
    (found,) = find_card_numbers("to 4111\u30001111\u30001111\u30001111!")
    assert (found.start, found.end, found.digits) == (3, 22, OTHER)
    assert redact("to 4111\u30001111\u30001111\u30001111!") == f"to {REMOVED}!"
    assert len(find_card_numbers(PAN)) == 1
    assert redact(f"{OTHER}, {PAN}") == f"{REMOVED}, {REMOVED}"


@given(card_numbers(), st.data())
def test_every_issued_number_is_found_in_any_script_with_any_separators(
    number: str, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 8))
    groups = [number[i : i + size] for i in range(0, len(number), size)]
    text = groups[0]
    for group in groups[1:]:
        text += data.draw(st.text(SEPARATOR, min_size=size == 1, max_size=SEPARATORS_MAX)) + group
    shift = data.draw(st.sampled_from([d for d in DIGITS if unicodedata.digit(d) == 0]))
    written = "".join(chr(ord(shift) + int(c)) if c in "0123456789" else c for c in text)
    assert any(found.digits == number for found in find_card_numbers(f"ref {written}!"))
    assert not has_card_number(redact(f"ref {written}!"))


@given(card_numbers(), st.text("123456789", min_size=4, max_size=8))
def test_a_number_at_an_end_of_more_digits_is_found(number: str, more: str) -> None:
    assume(len(number) == 16)
    assert has_card_number(number + more)
    assert has_card_number(more + number)


@given(st.text())
def test_redaction_leaves_no_number_and_no_other_text_changes(text: str) -> None:
    assert not has_card_number(redact(text))
    assert has_card_number(text) == bool(find_card_numbers(text)) == (redact(text) != text)


@given(st.text("0123456789abcdef- ", max_size=60))
def test_redaction_ends_for_texts_full_of_digits(text: str) -> None:
    assert not has_card_number(redact(text))


@given(st.uuids(), st.sampled_from(["", "-"]))
def test_uuids_are_keys_not_cards(key: uuid.UUID, separator: str) -> None:
    assume(any(character.isalpha() for character in str(key)))
    assume(not any(number in str(key).replace("-", "") for number in TEST_CARD_NUMBERS))
    text = f"key-{str(key).replace('-', separator)}"
    assert not has_card_number(text)


@given(st.text(), st.text())
def test_our_own_ids_and_hashes_are_no_cards(one: str, two: str) -> None:
    merchant = one.encode(errors="replace").decode()
    key = two.encode(errors="replace").decode()
    assert not has_card_number(payment_id(merchant, "live", key))
    assert not has_card_number(fingerprint({"a": merchant, "b": key}))


@pytest.mark.parametrize("iban", IBANS)
@pytest.mark.parametrize("written", ["{}", "IBAN: {}, please", "to {} 2026"])
def test_ibans_are_no_cards(iban: str, written: str) -> None:
    in_fours = " ".join(iban[i : i + 4] for i in range(0, len(iban), 4))
    for text in (iban, in_fours, iban.lower()):
        assert not has_card_number(written.format(text))


def test_a_false_iban_hides_nothing() -> None:
    assert has_card_number(f"DE89 {OTHER}")


@given(card_numbers(), st.integers(0, 18), st.integers(1, 9))
def test_one_wrong_digit_is_no_card_number(number: str, place: int, step: int) -> None:
    place %= len(number)
    wrong = str((int(number[place]) + step) % 10)
    changed = number[:place] + wrong + number[place + 1 :]
    assert all(found.digits != changed for found in find_card_numbers(changed))


@pytest.mark.parametrize(
    "document",
    [
        {"a": {"b": [1, {"c": PAN}]}},
        {PAN: 1},
        [[["4242 4242 4242 4242"]]],
        {"nested": {"4242-4242-4242-4242": None}},
    ],
)
def test_finds_them_at_any_depth(document: object) -> None:
    assert document_has_card_number(document)


def test_numbers_and_flags_are_no_card_numbers() -> None:
    document = {"amount": 1999, "final": True, "x": None, "y": 1.5, "z": int(PAN)}
    assert not document_has_card_number(document)


@pytest.mark.parametrize("text", ["pay_0v3c6z5t5a84y20eekxtjkw9t3", "order 4711", "a" * 255])
def test_a_text_with_few_digits_costs_less_than_a_microsecond(text: str) -> None:
    rounds = 2000
    spent = []
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(rounds):
            has_card_number(text)
        spent.append((time.perf_counter() - started) / rounds)
    assert min(spent) < 1e-6


@pytest.mark.parametrize(
    "text", ["1 " * 30_000, "4 " * 30_000, "4" * 60_000, "DE89" * 15_000, "4" * 12 + " a"]
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    has_card_number(text)
    assert time.process_time() - started < 0.7


@given(st.text("0123456789", min_size=12, max_size=18))
def test_one_wrong_digit_is_always_noticed_by_the_check(digits: str) -> None:
    right = [digits + d for d in "0123456789" if passes_luhn(digits + d)]
    assert len(right) == 1


def test_luhn_is_the_check_of_iso_7812() -> None:
    assert passes_luhn("79927398713")
    assert [d for d in range(10) if passes_luhn(f"7992739871{d}")] == [3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{HEADER}.YWJj.aXY.Y2lwaGVy.dGFn", True),
        (f"{HEADER}..aXY.Y2lwaGVy.dGFn", True),
        (f"{HEADER}.YWJj.aXY.Y2lwaGVy", False),
        (f"{HEADER}.YWJj.aXY.Y2lwaGVy.dGFn.x", False),
        (f"{HEADER}.YWJj..Y2lwaGVy.dGFn", False),
        (f"{HEADER}.YW+j.aXY.Y2lwaGVy.dGFn", False),
        (f"{HEADER}..aXY.4242424242424242.dGFn", False),
        ("4242424242424242.a.b.c.d", False),
        ("eyJh.YWJj.aXY.Y2lwaGVy.dGFn", False),
        (f"{header(alg='ECDH-ES')}..aXY.Y2lwaGVy.dGFn", False),
        (f"{header(alg='ECDH-ES', enc='A256GCM', kid='4242424242424242')}..aXY.Y2.dGFn", False),
        ("", False),
    ],
)
def test_compact_jwe_has_five_parts(text: str, expected: bool) -> None:
    assert is_compact_jwe(text) is expected
