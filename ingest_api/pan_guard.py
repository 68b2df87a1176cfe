"""Card numbers in clear are found and refused; card data comes as a JWE only (pure)."""

import re
from collections.abc import Iterator

from schemas.pan import passes_luhn

_SEPARATORS = r"[ \-.\u00a0\u2010-\u2015]"
_DIGIT_RUN = re.compile(rf"\d(?:{_SEPARATORS}?\d){{12,}}")
_GROUP = re.compile(r"\d+")
_ISSUED = re.compile(r"4|5|6|3[04-9]|2[2-7]")
"""How card schemes' issuer numbers begin (ISO/IEC 7812); epoch milliseconds begin with 1."""
_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[a-f]", re.IGNORECASE)
_PAN_DIGITS_MIN = 13
_PAN_DIGITS_MAX = 19
_JWE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


def _windows(groups: list[str]) -> Iterator[str]:
    """Neighbouring groups of digits, joined, that have the length of a card number."""
    for start in range(len(groups)):
        joined = ""
        for group in groups[start:]:
            joined += group
            if len(joined) > _PAN_DIGITS_MAX:
                break
            if len(joined) >= _PAN_DIGITS_MIN:
                yield joined


def _without_uuid(found: re.Match[str]) -> str:
    return "uuid" if _LETTER.search(found[0]) else found[0]


def text_has_card_number(text: str) -> bool:
    """13 to 19 digits with an issuer's beginning and a right check digit.

    Also with spaces, dashes or dots between groups. UUIDs with a letter are passed over: one in
    some hundred would be refused, and they are what idempotency keys are made of.
    """
    return any(
        _ISSUED.match(digits) and passes_luhn(digits)
        for run in _DIGIT_RUN.finditer(_UUID.sub(_without_uuid, text))
        for digits in _windows(_GROUP.findall(run[0]))
    )


def has_card_number(document: object) -> bool:
    """Any string, name of a member or whole number in a decoded JSON document is a card number.

    Whole numbers count only as members of the document: none of our fields takes one that long.
    """
    remaining = [document]
    while remaining:
        value = remaining.pop()
        if isinstance(value, dict):
            remaining.extend(value.keys())
            remaining.extend(value.values())
        elif isinstance(value, list):
            remaining.extend(value)
        elif isinstance(value, str) and text_has_card_number(value):
            return True
    return False


def is_compact_jwe(text: str) -> bool:
    """Five parts of base64url as RFC 7516 section 3.1 has it; the encrypted key may be empty."""
    return _JWE.fullmatch(text) is not None
