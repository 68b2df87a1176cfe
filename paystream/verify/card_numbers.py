"""`no_card_numbers`: no PAN (primary account number) in a topic, a store or a log.

What counts as one, so that epoch times, amounts and ids do not:
- 13 to 19 digits, in one run or in groups of four parted by single spaces or hyphens,
- that satisfy the Luhn check (ISO/IEC 7812-1, annex B),
- begin with the issuer range of a scheme that issues that length,
- have neither letter nor digit before or behind them (so no part of base64 or of an id), nor a
  point before them (the fraction of a decimal number),
- and are not the parent id of a trace (W3C Trace Context, `traceparent`): 16 random hexadecimal
  digits between hyphens, some of which look like a card number by chance.
The numbers of published test cards count wherever they stand, also inside a longer word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.pan import TEST_CARD_NUMBERS, passes_luhn

TEST_NUMBERS = frozenset(number.encode() for number in TEST_CARD_NUMBERS)
_TEST_NUMBER = re.compile(b"|".join(sorted(TEST_NUMBERS)))
_RUN = rb"[0-9]{13,19}"
_GROUPS = rb"[0-9]{4}(?:[ -][0-9]{4}){2,3}(?:[ -][0-9]{1,3})?"
_DIGITS = re.compile(rb"(?<![0-9A-Za-z_.])(?:" + _RUN + rb"|" + _GROUPS + rb")(?![0-9A-Za-z_])")
_SCHEMES: tuple[tuple[re.Pattern[bytes], frozenset[int]], ...] = (
    (re.compile(rb"4"), frozenset({13, 16, 19})),  # Visa
    (re.compile(rb"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), frozenset({16})),  # Mastercard
    (re.compile(rb"3[47]"), frozenset({15})),  # American Express
    (re.compile(rb"6011|64[4-9]|65"), frozenset({16, 19})),  # Discover
    (re.compile(rb"30[0-5]|36|38|39"), frozenset({14, 16})),  # Diners Club
    (re.compile(rb"35(?:2[89]|[3-8])"), frozenset({16, 19})),  # JCB
    (re.compile(rb"62"), frozenset({16, 17, 18, 19})),  # UnionPay
)
_NOT_DIGITS = b" -"
_TRACE = re.compile(rb"(?<![0-9A-Za-z_])00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?![0-9A-Za-z_])")


def card_numbers_in(data: bytes) -> Iterator[bytes]:
    """Card numbers in the bytes, by the rule above."""
    yield from _TEST_NUMBER.findall(data)
    for run in _DIGITS.findall(_TRACE.sub(b"", data)):
        digits = run.translate(None, _NOT_DIGITS)
        if digits not in TEST_NUMBERS and _is_card_number(digits):
            yield digits


def _is_card_number(digits: bytes) -> bool:
    issued = any(len(digits) in lengths and p.match(digits) for p, lengths in _SCHEMES)
    return issued and passes_luhn(digits.decode())


def _masked(number: bytes) -> str:
    """First six and last four digits: what PCI DSS lets people see."""
    return f"{number[:6].decode()}…{number[-4:].decode()}"


def no_card_numbers(dataset: Dataset, findings: Findings) -> None:
    """No card number in any topic's keys and values, Valkey, ClickHouse or a log file."""
    sources = dataset.sources
    for topic in sources.topics():
        for stored in sources.records(topic):
            headers = b"\n".join(value or b"" for value in stored.headers.values())
            data = b"\n".join(((stored.key or "").encode(), headers, stored.value or b""))
            _scan(f"{topic} {stored.partition}/{stored.offset}", data, findings)
    for key, value in sources.cache_entries("*"):
        _scan(f"Valkey {key}", key.encode() + b"\n" + value, findings)
    for table, row in dataset.table_lines():
        _scan(f"ClickHouse {table}", row, findings)
    for name, line in sources.log_lines():
        _scan(name, line, findings)


def _scan(where: str, data: bytes, findings: Findings) -> None:
    findings.checked += 1
    for number in card_numbers_in(data):
        findings.violation(where, f"a card number: {_masked(number)}")
