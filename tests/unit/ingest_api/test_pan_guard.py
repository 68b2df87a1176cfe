"""Card numbers in clear are found wherever they hide; what only looks like one passes."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.pan_guard import (
    has_card_number,
    is_compact_jwe,
    text_has_card_number,
)
from schemas.pan import passes_luhn

PAN = "4242424242424242"


@pytest.mark.parametrize(
    "text",
    [
        PAN,
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "4242.4242.4242.4242",
        "card 4242 4242 4242 4242 12/28",
        "12 4242424242424242",
        "378282246310005",
        "3782 822463 10005",
        "4222222222222",
        "6304 0000 0000 0000 000",
        "name\u00a04242\u00a04242\u00a04242\u00a04242",
        "x4242424242424242y",
        "42424242-4242-4242-4242-424242424242",
    ],
)
def test_finds_card_numbers(text: str) -> None:
    assert text_has_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "424242424242",
        "42424242424242424242424242424242",
        "order 2026-11-21",
        "+49 30 1234567",
        "",
        "key-019ad0364222222222222f0a1b2c3d4e",
        "019ad036-4222-4222-8422-424242424242",
        "order 1795259183735",
        "pay_0v3c6z5t5a84y20eekxtjkw9t3",
    ],
)
def test_lets_other_texts_pass(text: str) -> None:
    assert not text_has_card_number(text)


@given(st.uuids(), st.sampled_from(["", "-"]))
def test_uuids_are_keys_not_cards(key: uuid.UUID, separator: str) -> None:
    text = f"key-{str(key).replace('-', separator)}"
    assert not re.search("[a-f]", str(key)) or not text_has_card_number(text)


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
    assert has_card_number(document)


def test_numbers_and_flags_are_no_card_numbers() -> None:
    assert not has_card_number({"amount": 1999, "final": True, "x": None, "y": 1.5})


@given(
    st.sampled_from(["4", "5", "6", "22", "27", "30", "34", "37", "39"]),
    st.text("0123456789", min_size=11, max_size=16),
    st.sampled_from([" ", "-", ""]),
)
def test_every_issued_number_with_a_check_digit_is_found(
    issuer: str, digits: str, separator: str
) -> None:
    complete = next(n for d in "0123456789" if passes_luhn(n := issuer + digits + d))
    groups = [complete[i : i + 4] for i in range(0, len(complete), 4)]
    assert text_has_card_number(f"ref {separator.join(groups)}!")


@given(st.text("0123456789", min_size=12, max_size=18))
def test_one_wrong_digit_is_always_noticed_by_the_check(digits: str) -> None:
    right = [digits + d for d in "0123456789" if passes_luhn(digits + d)]
    assert len(right) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eyJh.YWJj.aXY.Y2lwaGVy.dGFn", True),
        ("eyJh..aXY.Y2lwaGVy.dGFn", True),
        ("eyJh.YWJj.aXY.Y2lwaGVy", False),
        ("eyJh.YWJj.aXY.Y2lwaGVy.dGFn.x", False),
        ("eyJh.YWJj..Y2lwaGVy.dGFn", False),
        ("eyJh.YW+j.aXY.Y2lwaGVy.dGFn", False),
        ("", False),
    ],
)
def test_compact_jwe_has_five_parts(text: str, expected: bool) -> None:
    assert is_compact_jwe(text) is expected
