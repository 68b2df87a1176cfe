"""ClickHouse's own compression of answers (`compress=1`): blocks with a checksum each.

A block is the checksum (16 bytes), the method, its length from the method on, the length of the
data, and the data. Here the data stands as it is (method NONE): a client on the same machine needs
the form, not the size. The checksum is CityHash128 in version 1.0.2, which later versions changed;
its multiplications by hand take some 0.1 s per MB, so that of a request's blocks is not checked.

Source: ClickHouse's documentation, "Native protocol: compression"; a test compares the checksum
with those in files that ClickHouse wrote.
"""

from __future__ import annotations

import struct

import lz4.block  # type: ignore[import-untyped]  # ships no types
from backports import zstd

from devstack.clickhouse_http.errors import CANNOT_DECOMPRESS, TOO_LARGE, refused

METHOD_NONE, METHOD_LZ4, METHOD_ZSTD = 0x02, 0x82, 0x90
BLOCK_BYTES = 1024 * 1024
_HEAD = struct.Struct("<BII")
_CHECKSUM = struct.Struct("<QQ")
_MASK = (1 << 64) - 1
_K0, _K1 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273
_K2, _K3 = 0x9AE16A3B2F90404F, 0xC949D7C7509E6557
_MULTIPLIER = 0x9DDFEA08EB382D69
_LONGS = struct.Struct("<16Q")


class NativeEncoder:
    """Packs an answer piece by piece."""

    def compress(self, data: bytes) -> bytes:
        """The data as blocks."""
        cuts = range(0, len(data), BLOCK_BYTES)
        return b"".join(block(data[at : at + BLOCK_BYTES]) for at in cuts)

    def flush(self) -> bytes:
        """Nothing is held back."""
        return b""


def block(data: bytes) -> bytes:
    """One block of the data, as it is."""
    packed = _HEAD.pack(METHOD_NONE, _HEAD.size + len(data), len(data)) + data
    return _CHECKSUM.pack(*checksum(packed)) + packed


def unpacked(data: bytes, bytes_max: int) -> bytes:
    """A request body that is such blocks (`decompress=1`); refuses more than `bytes_max`."""
    found, at, size = [], 0, 0
    try:
        while at < len(data):
            method, packed_bytes, plain_bytes = _HEAD.unpack_from(data, at + _CHECKSUM.size)
            size += plain_bytes
            if size > bytes_max:
                raise refused(
                    TOO_LARGE,
                    "TOO_MANY_BYTES",
                    "The unpacked body is larger than this server takes: send smaller inserts.",
                )
            first, end = at + _CHECKSUM.size + _HEAD.size, at + _CHECKSUM.size + packed_bytes
            if packed_bytes < _HEAD.size or end > len(data):
                raise ValueError("it ends in the middle")
            found.append(_plain(method, data[first:end], plain_bytes))
            at = end
    except (
        ValueError,
        RuntimeError,
        struct.error,
        lz4.block.LZ4BlockError,
        zstd.ZstdError,
    ) as error:
        raise refused(
            CANNOT_DECOMPRESS,
            "CANNOT_DECOMPRESS",
            f"The body is not in ClickHouse's own compression: {error}.",
        ) from error
    return b"".join(found)


def _plain(method: int, packed: bytes, plain_bytes: int) -> bytes:
    if method == METHOD_NONE:
        plain = packed
    elif method == METHOD_LZ4:
        plain = bytes(lz4.block.decompress(packed, uncompressed_size=plain_bytes))
    elif method == METHOD_ZSTD:
        plain = bytes(zstd.ZstdDecompressor().decompress(packed, max_length=plain_bytes))
    else:
        raise ValueError(f"the method 0x{method:02x} is not known here")
    if len(plain) != plain_bytes:
        raise ValueError("a block has another length than it says")
    return plain


def checksum(data: bytes) -> tuple[int, int]:
    """CityHash128 1.0.2: (low, high)."""
    size = len(data)
    if size >= 16:
        return _seeded(data[16:], _word(data, 0) ^ _K3, _word(data, 8))
    if size >= 8:
        low, high = _word(data, 0) ^ (size * _K0 & _MASK), _word(data, size - 8) ^ _K1
        return _seeded(b"", low, high)
    return _seeded(data, _K0, _K1)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _turn(value: int, bits: int) -> int:
    value &= _MASK
    return (value >> bits | value << 64 - bits) & _MASK


def _mix(value: int) -> int:
    value &= _MASK
    return value ^ value >> 47


def _two(low: int, high: int) -> int:
    """128 bits to 64."""
    high &= _MASK
    a = _mix((low ^ high) * _MULTIPLIER)
    return _mix((high ^ a) * _MULTIPLIER) * _MULTIPLIER & _MASK


def _few(data: bytes) -> int:
    """At most 16 bytes to 64 bits."""
    size = len(data)
    if size > 8:
        first, last = _word(data, 0), _word(data, size - 8)
        return _two(first, _turn(last + size, size)) ^ last
    if size >= 4:
        first = int.from_bytes(data[:4], "little")
        return _two(size + (first << 3), int.from_bytes(data[size - 4 :], "little"))
    if size:
        y = data[0] + (data[size >> 1] << 8)
        z = size + (data[size - 1] << 2)
        return _mix(y * _K2 ^ z * _K3) * _K2 & _MASK
    return _K2


def _short(data: bytes, a: int, b: int) -> tuple[int, int]:
    """Less than 128 bytes."""
    size = len(data)
    if size <= 16:
        a = _mix(a * _K1) * _K1 & _MASK
        c = (b * _K1 + _few(data)) & _MASK
        d = _mix(a + (_word(data, 0) if size >= 8 else c))
    else:
        c = _two(_word(data, size - 8) + _K1 & _MASK, a)
        d = _two(b + size & _MASK, c + _word(data, size - 16))
        a = a + d & _MASK
        for at in range(0, (size - 16 + 15) // 16 * 16, 16):
            a = (a ^ _mix(_word(data, at) * _K1) * _K1) * _K1 & _MASK
            b ^= a
            c = (c ^ _mix(_word(data, at + 8) * _K1) * _K1) * _K1 & _MASK
            d ^= c
    a, b = _two(a, c), _two(d, b)
    return a ^ b, _two(b, a)


def _weak(words: tuple[int, ...], a: int, b: int) -> tuple[int, int]:
    """32 bytes and two seeds; both results without their high bits cut."""
    first, second, third, fourth = words
    a += first
    b = _turn(b + a + fourth, 21)
    c = a
    a += second + third
    return a + fourth & _MASK, b + _turn(a, 44) + c & _MASK


def _seeded(data: bytes, x: int, y: int) -> tuple[int, int]:
    size = len(data)
    if size < 128:
        return _short(data, x, y)
    z = size * _K1 & _MASK
    v0 = _turn(y ^ _K1, 49) * _K1 + _word(data, 0) & _MASK
    v1 = _turn(v0, 42) * _K1 + _word(data, 8) & _MASK
    w0 = _turn(y + z, 35) * _K1 + x & _MASK
    w1 = _turn(x + _word(data, 88), 53) * _K1 & _MASK
    at = 0
    while at + 128 <= size:
        words = _LONGS.unpack_from(data, at)
        for half in (0, 8):
            x = _turn(x + y + v0 + words[half + 2], 37) * _K1 & _MASK
            y = _turn(y + v1 + words[half + 6], 42) * _K1 & _MASK
            x ^= w1
            y ^= v0
            z = _turn(z ^ w0, 33)
            v0, v1 = _weak(words[half : half + 4], v1 * _K1, x + w0)
            w0, w1 = _weak(words[half + 4 : half + 8], z + w1, y)
            z, x = x, z
        at += 128
    y = y + _turn(w0, 37) * _K0 + z & _MASK
    x = x + _turn(v0 + z, 49) * _K0 & _MASK
    rest, done = size - at, 0
    while done < rest:
        done += 32
        tail = size - done
        y = _turn(y - x, 42) * _K0 + v1 & _MASK
        w0 = w0 + _word(data, tail + 16) & _MASK
        x = _turn(x, 49) * _K0 + w0 & _MASK
        w0 = w0 + v0 & _MASK
        words = struct.unpack_from("<4Q", data, tail)
        v0, v1 = _weak(words, v0, v1)
    x, y = _two(x, v0), _two(y, w0)
    return _two(x + v1 & _MASK, w1) + y & _MASK, _two(x + w1 & _MASK, y + v1)
