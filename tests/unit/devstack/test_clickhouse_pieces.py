"""Pure pieces of the ClickHouse server: codes, compression, users, the empty block."""

from __future__ import annotations

import base64
import gzip
from email.message import Message

import lz4.frame
import pytest
from backports import zstd

from devstack.clickhouse_http import compression, errors, native_block, responses, users
from devstack.clickhouse_http.errors import ClickHouseError

DATA = b"rows " * 10_000
KNOWN = users.known_users("secret", None)


def headers(**given: str) -> Message:
    message = Message()
    for name, value in given.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("text", "code", "status"),
    [
        ("Code: 60. DB::Exception: no table (UNKNOWN_TABLE)", 60, 404),
        ("Streaming failed: Code: 62. DB::Exception: Syntax (SYNTAX_ERROR)", 62, 400),
        ("Code: 241. DB::Exception: memory (MEMORY_LIMIT_EXCEEDED)", 241, 500),
        ("something else", 1002, 500),
    ],
)
def test_the_engines_code_and_status(text: str, code: int, status: int) -> None:
    error = errors.from_engine(RuntimeError(text))
    assert (error.code, error.http_status) == (code, status)
    assert str(error).startswith(f"Code: {code}.")


@pytest.mark.parametrize("name", compression.OFFERED)
def test_what_is_packed_unpacks(name: str) -> None:
    packing = compression.encoder_for(f"br, {name};q=1.0")
    assert packing is not None
    assert packing[0] == name
    packed = packing[1].compress(DATA) + packing[1].flush()
    assert len(packed) < len(DATA)
    assert compression.decode(packed, name, len(DATA)) == DATA


def test_several_frames_in_one_body() -> None:
    assert compression.decode(zstd.compress(b"a") + zstd.compress(b"b"), "zstd", 10) == b"ab"
    frames = lz4.frame.compress(b"a") + lz4.frame.compress(b"b")
    assert compression.decode(frames, "lz4", 10) == b"ab"
    assert compression.decode(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", 10) == b"ab"


@pytest.mark.parametrize("name", compression.OFFERED)
def test_a_bomb_is_refused_before_it_unfolds(name: str) -> None:
    packing = compression.encoder_for(name)
    assert packing is not None
    packed = packing[1].compress(b"\0" * 50_000_000) + packing[1].flush()
    with pytest.raises(ClickHouseError) as refused:
        compression.decode(packed, name, 10_000_000)
    assert refused.value.http_status == 413


@pytest.mark.parametrize("name", compression.OFFERED)
@pytest.mark.parametrize("damage", [b"not packed at all", b""])
def test_a_damaged_body_is_refused(name: str, damage: bytes) -> None:
    packing = compression.encoder_for(name)
    assert packing is not None
    packed = damage if damage else (packing[1].compress(DATA) + packing[1].flush())[:-20]
    with pytest.raises(ClickHouseError) as refused:
        compression.decode(packed, name, len(DATA))
    assert refused.value.code == errors.CANNOT_DECOMPRESS


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(ClickHouseError, match=r"'snappy'.*zstd"):
        compression.decode(b"x", "snappy", 10)


def test_the_ways_to_say_who_one_is() -> None:
    basic = base64.b64encode(b"default:secret").decode()
    ways = [
        (headers(Authorization=f"Basic {basic}"), {}),
        (headers(X_ClickHouse_User="default", X_ClickHouse_Key="secret"), {}),
        (headers(), {"user": "default", "password": "secret"}),
        (headers(), {"password": "secret"}),
    ]
    for given, query in ways:
        assert users.authenticate(KNOWN, given, query).name == "default"
    assert users.authenticate(KNOWN, headers(), {"user": "analyst"}).read_only


@pytest.mark.parametrize(
    "given",
    [
        headers(X_ClickHouse_User="default", X_ClickHouse_Key="wrong"),
        headers(X_ClickHouse_User="nobody"),
        headers(Authorization="Basic ???"),
        headers(),
    ],
)
def test_a_wrong_name_or_password_is_refused(given: Message) -> None:
    with pytest.raises(ClickHouseError) as refused:
        users.authenticate(KNOWN, given, {})
    assert (refused.value.code, refused.value.http_status) == (516, 403)


def test_the_block_without_rows() -> None:
    block = native_block.encode(["a", "x" * 200], ["UInt64", "String"])
    assert block == b"\x02\x00\x01a\x06UInt64\xc8\x01" + b"x" * 200 + b"\x06String"


def test_the_mark_of_a_late_error_names_its_length() -> None:
    error = errors.refused(395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", "too late")
    block = responses.exception_block(error, "0123456789abcdef").decode()
    message = str(error)
    opening = f"\r\n__exception__\r\n0123456789abcdef\r\n{message}"
    assert block.startswith(opening)
    assert block.endswith(f"\n{len(message)} 0123456789abcdef\r\n__exception__\r\n")
