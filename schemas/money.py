"""Money as integer minor units with the exponents of ISO 4217 (pure)."""

from typing import NamedTuple

AMOUNT_MINOR_MAX = 10**15
"""Largest amount of one payment: fits Avro's long and ClickHouse's Int64 with room for sums."""

BASIS_POINTS = 10_000

_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
    "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
    "GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
    "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST "
    "XAD XCD XCG YER ZAR ZMW ZWG"
)
_EXPONENTS: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: _TWO_DECIMALS,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
LISTED: dict[str, int] = {
    code: digits for digits, codes in _EXPONENTS.items() for code in codes.split()
}
"""ISO 4217 alphabetic code -> number of decimals (ISO's list one of 2026-01-01, not CLDR's)."""

FUNDS_CODES = frozenset(["BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD"])
"""Funds codes and units of account of list one (ISO 4217, 3.6): no card is charged in them."""


class Retired(NamedTuple):
    """A code that ISO 4217 has withdrawn (list three): its old amounts keep their decimals."""

    exponent: int
    withdrawn: str
    """Month, as list three has it."""


RETIRED: dict[str, Retired] = {
    "ANG": Retired(2, "2025-03"),
    "BGN": Retired(2, "2025-12"),
    "BYR": Retired(0, "2017-01"),
    "CUC": Retired(2, "2021-06"),
    "EEK": Retired(2, "2011-01"),
    "HRK": Retired(2, "2023-01"),
    "LTL": Retired(2, "2014-12"),
    "LVL": Retired(2, "2014-01"),
    "MRO": Retired(2, "2017-12"),
    "SLL": Retired(2, "2023-12"),
    "STD": Retired(2, "2017-12"),
    "VEF": Retired(2, "2018-08"),
    "ZMK": Retired(2, "2012-12"),
    "ZWL": Retired(2, "2024-09"),
    "ZWR": Retired(2, "2009-06"),
}
"""An amendment of ISO 4217 moves a code from the list to here; no code ever leaves the product."""

CURRENCIES: dict[str, int] = {
    code: digits for code, digits in LISTED.items() if code not in FUNDS_CODES
}
"""Codes that a new payment may have -> number of decimals."""

EXPONENTS: dict[str, int] = {
    **{code: retired.exponent for code, retired in RETIRED.items()},
    **LISTED,
}
"""Every code that an amount of any time may have -> number of decimals, for ever."""


class UnknownCurrency(ValueError):
    """Not an ISO 4217 code of money that can be paid."""


class CurrencyMismatch(ValueError):
    """Arithmetic between two currencies."""


def exponent(currency: str) -> int:
    """Number of decimals of the currency. Raises UnknownCurrency."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is not a currency of ISO 4217") from None


class Money(NamedTuple):
    """An amount of one currency; sums and differences of two currencies raise CurrencyMismatch."""

    amount_minor: int
    currency: str

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not add up")

    def plus(self, other: "Money") -> "Money":
        """Sum of two amounts of one currency."""
        self._same(other)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def minus(self, other: "Money") -> "Money":
        """Difference of two amounts of one currency; may be negative."""
        self._same(other)
        return Money(self.amount_minor - other.amount_minor, self.currency)

    def __str__(self) -> str:
        digits = exponent(self.currency)
        sign = "-" if self.amount_minor < 0 else ""
        whole, part = divmod(abs(self.amount_minor), 10**digits)
        return f"{sign}{whole}{f'.{part:0{digits}}' if digits else ''} {self.currency}"


def fee_minor(amount_minor: int, basis_points: int, fixed_minor: int) -> int:
    """Percentage (1/100 percent, rounded half to even) plus fixed part, never above the amount."""
    quotient, rest = divmod(amount_minor * basis_points, BASIS_POINTS)
    twice = 2 * rest
    if twice > BASIS_POINTS or (twice == BASIS_POINTS and quotient % 2):
        quotient += 1
    return min(quotient + fixed_minor, amount_minor)
