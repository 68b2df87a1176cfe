"""Primary account numbers (PAN): the one detector of card numbers in clear (pure).

A card number is 13 to 19 decimal digits of any script that begin as a scheme's numbers do, have a
length that this scheme issues, and end in the right check digit. They stand in one group, or in
groups as people write them, parted by up to three characters that are neither letter nor digit.
Ids are passed over: a UUID, a hash or a W3C `traceparent` has such digits by chance, an IBAN by its
rule. Numbers of the published test cards count wherever they stand.
"""

import base64
import json
import re
from collections.abc import Iterator
from itertools import accumulate
from math import gcd
from typing import NamedTuple

TEST_CARD_NUMBERS = frozenset(
    {
        "4242424242424242",
        "4000000000000002",
        "4000000000009995",
        "4000000000000069",
        "4000000000003220",
        "4000000000000119",
        "4000000000000127",
        "4000000000000259",
        "4000000000000341",
        "4000000000005126",
    }
)
"""Numbers of the published test cards; they belong to nobody."""
REMOVED = "[card number removed]"
DIGITS_MIN, DIGITS_MAX = 13, 19
SEPARATORS_MAX = 3
"""Between two digits of one number."""
_SCHEMES: tuple[tuple[str, frozenset[int]], ...] = (
    (r"4", frozenset({13, 16, 19})),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", frozenset({16})),  # Mastercard
    (r"5018|5020|5038|5893|6304|6759|676[1-3]", frozenset(range(13, 20))),  # Maestro
    (r"3[47]", frozenset({15})),  # American Express
    (r"6011|64[4-9]|65", frozenset(range(16, 20))),  # Discover
    (r"30[0-5]|3095|36|38|39", frozenset({14, 16, 19})),  # Diners Club
    (r"35(?:2[89]|[3-8])", frozenset(range(16, 20))),  # JCB
    (r"62|81[0-7]", frozenset(range(16, 20))),  # UnionPay
)
"""Beginning -> lengths, of the payment brands of the PCI Security Standards Council.

Sources: ISO/IEC 7812-1 (issuer identification numbers); the brands' published ranges as Wikipedia,
"Payment card number", lists them. Ranges that other schemes issue are in no scope of PCI DSS.
"""
_BEGINNINGS = {
    length: re.compile("|".join(beginning for beginning, lengths in _SCHEMES if length in lengths))
    for length in range(DIGITS_MIN, DIGITS_MAX + 1)
}
_GROUPINGS = frozenset({(4, 6, 5), (4, 6, 4), (6, 10), (6, 13), (4, 3, 3, 3), (4, 4, 5)})
"""As cards print them, besides groups whose sizes but the last have a common divisor."""
_LONG_RUN_LENGTHS = (16, 15)
"""Nearly all cards have so many digits: looked for at the ends of more of them in one group."""
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_ENOUGH_DIGITS = re.compile(rf"(?:\D*+\d){{{DIGITS_MIN}}}")
_TEST_NUMBER = re.compile("|".join(sorted(TEST_CARD_NUMBERS)))
_RUN = re.compile(rf"\d(?:[^0-9A-Za-z]{{0,{SEPARATORS_MAX}}}\d){{{DIGITS_MIN - 1},}}")
_GROUP = re.compile(r"\d+")
_WORD_BEFORE = re.compile(r"[0-9A-Za-z]*\Z")
_WORD = re.compile(r"[0-9A-Za-z]*")
_ID = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"  # W3C Trace Context
    r"|(?=[0-9-]*[A-Fa-f])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"  # UUID, RFC 9562
    r"|0\.[0-9]{13,}"  # a fraction
    r")(?![0-9A-Za-z])"
)
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}\d{2}(?:[ -]?[0-9A-Za-z]){11,30}")
_IBAN_CHARACTERS_MIN = 15
_JWE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class CardNumber(NamedTuple):
    """Where in the text it stands, separators included, and its digits in ASCII."""

    start: int
    end: int
    digits: str


def find_card_numbers(text: str) -> list[CardNumber]:
    """Every card number in the text, from left to right; some may overlap."""
    if not _has_enough_digits(text):
        return []
    plain = text if text.isascii() else text.translate(_PLAIN)
    return sorted(set(_candidates(plain)))


def has_card_number(text: str) -> bool:
    """Whether `find_card_numbers` finds any; a text of less than 13 digits takes below 1 µs."""
    if not _has_enough_digits(text):
        return False
    plain = text if text.isascii() else text.translate(_PLAIN)
    return next(_candidates(plain), None) is not None


def document_has_card_number(document: object) -> bool:
    """Whether any string or name of a member in a decoded JSON document has a card number."""
    remaining = [document]
    while remaining:
        value = remaining.pop()
        if isinstance(value, str):
            if has_card_number(value):
                return True
        elif isinstance(value, dict):
            remaining.extend(value.keys())
            remaining.extend(value.values())
        elif isinstance(value, list):
            remaining.extend(value)
    return False


def redact(text: str) -> str:
    """The text with REMOVED in place of each card number; no digit of it is left."""
    while found := find_card_numbers(text):
        end = len(text)
        for number in reversed(found):
            if number.end <= end:
                text = f"{text[: number.start]}{REMOVED}{text[number.end :]}"
                end = number.start
    return text


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def is_card_number(digits: str) -> bool:
    """Whether these digits alone are the number of a card: beginning, length and check digit."""
    beginning = _BEGINNINGS.get(len(digits))
    return beginning is not None and beginning.match(digits) is not None and passes_luhn(digits)


def is_compact_jwe(text: str) -> bool:
    """Five parts of base64url as RFC 7516 section 3.1 has it; the encrypted key may be empty.

    The first part must be a header that names its algorithms, and no part may be digits alone:
    five words with dots between them could hold a card number in clear.
    """
    if _JWE.fullmatch(text) is None:
        return False
    parts = text.split(".")
    return not any(map(str.isdecimal, parts)) and _is_header(parts[0])


def _is_header(protected_header: str) -> bool:
    padded = protected_header + "=" * (-len(protected_header) % 4)
    try:
        header = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, RecursionError):
        return False
    if not isinstance(header, dict) or not {"alg", "enc"} <= header.keys():
        return False
    return not document_has_card_number(header)


class _Plain(dict[int, str]):
    """Each character as one of ASCII: a digit of any script, a letter as x, all else as a blank."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character.isdecimal():
            return str(int(character))
        return "x" if character.isalnum() else " "


_PLAIN = _Plain({code: chr(code) for code in range(128)})


def _has_enough_digits(text: str) -> bool:
    if len(text) < DIGITS_MIN:
        return False
    if text.isascii():
        return len(text.encode().translate(None, _NOT_DIGITS)) >= DIGITS_MIN
    return _ENOUGH_DIGITS.match(text) is not None


def _candidates(plain: str) -> Iterator[CardNumber]:
    for test in _TEST_NUMBER.finditer(plain):
        yield CardNumber(test.start(), test.end(), test[0])
    if _RUN.search(plain) is None:
        return
    rest = _IBAN.sub(_without_iban, _ID.sub(lambda found: "x" * len(found[0]), plain))
    for run in _RUN.finditer(rest):
        groups = [group.span() for group in _GROUP.finditer(rest, *run.span())]
        yield from _windows(rest, _outside_of_ids(rest, groups))


def _outside_of_ids(plain: str, groups: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without a group that is a part of a word with more digits: of a hash, an id, base64."""
    start, end = groups[0][0], groups[-1][1]
    before = _WORD_BEFORE.search(plain, max(0, start - 64), start)
    if before is not None and _GROUP.search(before[0]):
        groups = groups[1:]
    after = _WORD.match(plain, end)
    if after is not None and _GROUP.search(after[0]):
        groups = groups[:-1]
    return groups


def _windows(plain: str, groups: list[tuple[int, int]]) -> Iterator[CardNumber]:
    """Neighbouring groups that are a card number together, and numbers within one long group."""
    sizes = tuple(end - start for start, end in groups)
    offsets = [0, *accumulate(sizes)]
    group_at = {offset: index for index, offset in enumerate(offsets)}
    digits = "".join(plain[start:end] for start, end in groups)
    for first, offset in enumerate(offsets[:-1]):
        for length, beginning in _BEGINNINGS.items():
            last = group_at.get(offset + length)
            if last is None or beginning.match(digits, offset) is None:
                continue
            number = digits[offset : offset + length]
            if _is_grouping(sizes[first:last]) and passes_luhn(number):
                yield CardNumber(groups[first][0], groups[last - 1][1], number)
        yield from _within_long_group(plain, *groups[first])


def _within_long_group(plain: str, start: int, end: int) -> Iterator[CardNumber]:
    """A number with more digits behind it; of more than 19 digits also one at their end."""
    for length in _LONG_RUN_LENGTHS:
        if end - start > _LONG_RUN_LENGTHS[0] and is_card_number(plain[start : start + length]):
            yield CardNumber(start, start + length, plain[start : start + length])
        if end - start > DIGITS_MAX and is_card_number(plain[end - length : end]):
            yield CardNumber(end - length, end, plain[end - length : end])


def _is_grouping(sizes: tuple[int, ...]) -> bool:
    if len(sizes) == 1 or sizes in _GROUPINGS or set(sizes) == {1}:
        return True
    return gcd(*sizes[:-1]) > 1


def _without_iban(found: re.Match[str]) -> str:
    """The longest beginning that is an IBAN (ISO 13616: modulo 97 of the digits is 1), masked."""
    text = found[0]
    for end in range(len(text), _IBAN_CHARACTERS_MIN - 1, -1):
        if end < len(text) and text[end].isalnum():
            continue
        compact = text[:end].replace(" ", "").replace("-", "")
        rotated = compact[4:] + compact[:4]
        if len(compact) >= _IBAN_CHARACTERS_MIN and _modulo_97(rotated) == 1:
            return "x" * end + text[end:]
    return text


def _modulo_97(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97
