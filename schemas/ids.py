"""Identities that are derived, so that two copies of one request meet (pure)."""

import hashlib
import json
from collections.abc import Mapping
from struct import Struct

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGIT_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_length = Struct(">I").pack
_PAYMENT = _length(len(b"payment")) + b"payment"
_first_136_bits = Struct(">QQB").unpack_from


def _derived(prefix: str, *parts: str) -> str:
    """`prefix` and 130 bits of SHA-256 over the parts, each preceded by its length."""
    pieces: list[bytes] = []
    for part in map(str.encode, parts):
        pieces += _length(len(part)), part
    return prefix + _digits(hashlib.sha256(b"".join(pieces)).digest())


def _digits(digest: bytes) -> str:
    """The first 130 bits as 26 digits in Crockford's base 32, lower case: ten bits at a time."""
    a, b, c = _first_136_bits(digest)
    pair = _DIGIT_PAIRS
    return (
        f"{pair[a >> 54]}{pair[a >> 44 & 1023]}{pair[a >> 34 & 1023]}{pair[a >> 24 & 1023]}"
        f"{pair[a >> 14 & 1023]}{pair[a >> 4 & 1023]}{pair[(a & 15) << 6 | b >> 58]}"
        f"{pair[b >> 48 & 1023]}{pair[b >> 38 & 1023]}{pair[b >> 28 & 1023]}"
        f"{pair[b >> 18 & 1023]}{pair[b >> 8 & 1023]}{pair[(b & 255) << 2 | c >> 6]}"
    )


def payment_id(merchant_id: str, mode: str, idempotency_key: str) -> str:
    """The payment that this create request makes, in whichever process and however often."""
    merchant, kind, key = merchant_id.encode(), mode.encode(), idempotency_key.encode()
    joined = b"".join(  # as `_derived` has it; every create is checked by this
        (
            _PAYMENT,
            _length(len(merchant)),
            merchant,
            _length(len(kind)),
            kind,
            _length(len(key)),
            key,
        )
    )
    return "pay_" + _digits(hashlib.sha256(joined).digest())


def command_id(payment_id: str, operation: str, idempotency_key: str) -> str:
    """Identity of one request about one payment."""
    return _derived("cmd_", "command", payment_id, operation, idempotency_key)


def derived_id(prefix: str, *parts: str) -> str:
    """An id of another kind that must be the same at each replay: refunds, payouts, requests."""
    return _derived(prefix, "derived", prefix, *parts)


def event_id(payment_id: str, sequence: int) -> str:
    """Identity of the payment's nth event."""
    return f"{payment_id}-{sequence}"


def fingerprint(meaning: Mapping[str, object]) -> str:
    """SHA-256 of a request's meaning; absent and None are the same.

    Leave out what may differ between two copies of one request: times, and ciphertexts that are
    randomised at each encryption.
    """
    present = {key: value for key, value in meaning.items() if value is not None}
    canonical = json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
