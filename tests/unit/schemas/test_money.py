"""Exponents are ISO's; fees round half to even and never exceed the amount."""

from fractions import Fraction

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import (
    AMOUNT_MINOR_MAX,
    BASIS_POINTS,
    CURRENCIES,
    EXPONENTS,
    LISTED,
    RETIRED,
    CurrencyMismatch,
    Money,
    UnknownCurrency,
    exponent,
    fee_minor,
)


def test_exponents_are_those_of_the_iso_table() -> None:
    table = {c.code: c.exponent for c in iso4217.Currency if c.exponent is not None}
    assert table == LISTED


def test_nothing_is_paid_in_funds_codes_and_units_of_account() -> None:
    refused = ["CLF", "UYW", "UYI", "USN", "CHE", "CHW", "BOV", "COU", "MXV", "XAD"]
    assert not CURRENCIES.keys() & set(refused)
    assert set(LISTED) - set(CURRENCIES) == set(refused)
    assert all(exponent(code) == LISTED[code] for code in refused)


@pytest.mark.parametrize(("code", "digits"), [("BGN", 2), ("HRK", 2), ("SLL", 2), ("BYR", 0)])
def test_a_retired_code_keeps_its_decimals_and_is_paid_no_more(code: str, digits: int) -> None:
    assert (exponent(code), code in CURRENCIES) == (digits, False)


def test_a_code_is_listed_or_retired_and_never_both() -> None:
    assert not LISTED.keys() & RETIRED.keys()
    assert EXPONENTS.keys() == LISTED.keys() | RETIRED.keys()


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1999, "EUR"), "19.99 EUR"),
        (Money(-5, "EUR"), "-0.05 EUR"),
        (Money(1999, "JPY"), "1999 JPY"),
        (Money(1999, "KWD"), "1.999 KWD"),
        (Money(12345, "CLF"), "1.2345 CLF"),
    ],
)
def test_money_prints_with_the_currencys_decimals(money: Money, text: str) -> None:
    assert str(money) == text


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR").plus(Money(1, "USD"))
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR").minus(Money(1, "USD"))
    assert Money(3, "EUR").minus(Money(5, "EUR")) == Money(-2, "EUR")


@pytest.mark.parametrize("code", ["XXX", "eur", "", "EURO"])
def test_what_is_not_a_currency_is_refused(code: str) -> None:
    with pytest.raises(UnknownCurrency):
        exponent(code)


@given(
    amount=st.integers(0, AMOUNT_MINOR_MAX),
    points=st.integers(0, BASIS_POINTS),
    fixed=st.integers(0, 10_000),
)
def test_fee_is_the_rounded_share_plus_the_fixed_part(amount: int, points: int, fixed: int) -> None:
    expected = round(Fraction(amount * points, BASIS_POINTS)) + fixed
    assert fee_minor(amount, points, fixed) == min(expected, amount)
