"""A signature covers exactly the values that were signed, alone or many at once."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.headers import SIGNATURE, SIGNATURE_KEY_ID, SIGNATURE_PATH
from schemas.signatures import (
    LEAVES_MAX,
    SignatureRefused,
    SignatureVerifier,
    is_usable_key,
    sign,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 100, 1000]


def refused(value: bytes, headers: dict[str, bytes], key: bytes = PUBLIC) -> bool:
    try:
        SignatureVerifier().check(value, headers, key)
    except SignatureRefused:
        return True
    return False


@pytest.mark.parametrize("size", SIZES)
def test_each_of_many_values_is_covered_by_one_signature(size: int) -> None:
    values = [f"value {number}".encode() for number in range(size)]
    signed = sign(KEY, "key_1", values)
    assert len({headers[SIGNATURE] for headers in signed}) == 1
    verifier = SignatureVerifier()
    for value, headers in zip(values, signed, strict=True):
        assert headers[SIGNATURE_KEY_ID] == b"key_1"
        verifier.check(value, headers, PUBLIC)
        assert refused(value + b"x", headers)
        assert refused(value, headers, OTHER)


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_value_does_not_pass_in_another_s_place(size: int) -> None:
    values = [f"value {number}".encode() for number in range(size)]
    signed = sign(KEY, "key_1", values)
    assert all(refused(values[n], signed[(n + 1) % size]) for n in range(size))


def test_the_format_is_the_one_that_is_written_down() -> None:
    """Producers in other languages sign by the page alone: these bytes never change."""
    [single] = sign(KEY, "key_1", [b"a"])
    assert set(single) == {SIGNATURE_KEY_ID, SIGNATURE}
    leaf = hashlib.sha256(b"\x00a").digest()
    assert single[SIGNATURE] == KEY.sign(b"paystream payment command v1\n" + leaf)
    two = sign(KEY, "key_1", [b"a", b"b"])
    other = hashlib.sha256(b"\x00b").digest()
    root = hashlib.sha256(b"\x01" + leaf + other).digest()
    assert two[0][SIGNATURE_PATH] == bytes([0, 0, 0, 0, 0, 0, 0, 2]) + other
    assert two[1][SIGNATURE_PATH] == bytes([0, 0, 0, 1, 0, 0, 0, 2]) + leaf
    assert two[0][SIGNATURE] == KEY.sign(b"paystream payment command v1\n" + root)


def test_no_value_and_too_many_values_are_not_signed() -> None:
    for values in ([], [b""] * (LEAVES_MAX + 1)):
        with pytest.raises(ValueError, match="Sign 1 to"):
            sign(KEY, "key_1", values)


@pytest.mark.parametrize(
    "changes",
    [
        {SIGNATURE: None},
        {SIGNATURE: b""},
        {SIGNATURE: bytes(64)},
        {SIGNATURE: bytes(63)},
        {SIGNATURE_PATH: None},
        {SIGNATURE_PATH: b""},
        {SIGNATURE_PATH: bytes(7)},
        {SIGNATURE_PATH: bytes(8)},
        {SIGNATURE_PATH: bytes(41)},
        {SIGNATURE_PATH: b"\xff" * 40},
        {SIGNATURE_PATH: b"\x00\x00\x00\x00\x00\x00\x00\x02" + bytes(32)},
    ],
)
def test_a_damaged_header_is_refused(changes: dict[str, Any]) -> None:
    headers = {**sign(KEY, "key_1", [b"a", b"b"])[0], **changes}
    assert refused(b"a", {name: value for name, value in headers.items() if value is not None})


@given(path=st.binary(max_size=200), value=st.binary(max_size=40))
def test_any_path_is_answered_without_another_error(path: bytes, value: bytes) -> None:
    [signed] = sign(KEY, "key_1", [b"the value"])
    assert refused(value, {**signed, SIGNATURE_PATH: path}) or value == b"the value"


def test_an_inner_node_does_not_pass_as_a_value() -> None:
    """Leaves and nodes have different prefixes (RFC 9162, 2.1.1)."""
    two = sign(KEY, "key_1", [b"a", b"b"])
    node = hashlib.sha256(b"\x00a").digest() + hashlib.sha256(b"\x00b").digest()
    assert refused(node, {name: two[0][name] for name in (SIGNATURE_KEY_ID, SIGNATURE)})


def test_a_verified_root_is_remembered_for_its_key_alone() -> None:
    verifier = SignatureVerifier()
    [signed] = sign(KEY, "key_1", [b"a"])
    verifier.check(b"a", signed, PUBLIC)
    verifier.check(b"a", signed, PUBLIC)
    with pytest.raises(SignatureRefused):
        verifier.check(b"a", signed, OTHER)


def test_the_verifier_remembers_a_bounded_number_of_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.signatures.VERIFIED_ROOTS_MAX", 3)
    verifier = SignatureVerifier()
    for number in range(10):
        value = str(number).encode()
        verifier.check(value, sign(KEY, "key_1", [value])[0], PUBLIC)
    assert len(verifier._verified) == 3


SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\x7f",
]


@pytest.mark.parametrize(
    "key", [*SMALL_ORDER, *(k[:31] + bytes([k[31] | 0x80]) for k in SMALL_ORDER)]
)
def test_a_key_for_which_anyone_can_sign_is_no_key(key: bytes) -> None:
    """With the identity as key, a signature of it and zeros holds for every value."""
    assert not is_usable_key(key)
    headers = {SIGNATURE_KEY_ID: b"key_1", SIGNATURE: b"\x01" + bytes(63)}
    assert refused(b"any value", headers, key)


def test_a_real_key_is_usable() -> None:
    assert is_usable_key(PUBLIC)
    assert not is_usable_key(PUBLIC[:31])
