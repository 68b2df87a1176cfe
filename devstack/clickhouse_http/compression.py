"""Content encodings of requests and answers: zstd, lz4 (frames), gzip, deflate."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame  # type: ignore[import-untyped]  # ships no types
from backports import zstd

from devstack.clickhouse_http.errors import (
    CANNOT_DECOMPRESS,
    TOO_LARGE,
    UNKNOWN_COMPRESSION_METHOD,
    refused,
)

GZIP_WINDOW_BITS = zlib.MAX_WBITS | 16
# What an answer is packed with, best first, when the client accepts it.
OFFERED = ("zstd", "lz4", "gzip", "deflate")
GROWTH_STEP_BYTES = 4 * 1024 * 1024


class Encoder(Protocol):
    """Packs an answer piece by piece."""

    def compress(self, data: bytes) -> bytes:
        """Packed bytes so far ('' while it gathers)."""

    def flush(self) -> bytes:
        """The rest, with the end mark."""


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._head = bytes(self._frame.begin())

    def compress(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.flush())


_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "zstd": lambda: zstd.ZstdCompressor(level=1),
    "lz4": _Lz4Encoder,
    "gzip": lambda: zlib.compressobj(1, zlib.DEFLATED, GZIP_WINDOW_BITS),
    "deflate": lambda: zlib.compressobj(1),
}


def encoder_for(accept_encoding: str) -> tuple[str, Encoder] | None:
    """The first of `OFFERED` in an Accept-Encoding header; None for an answer as it is."""
    accepted = {part.split(";")[0].strip().lower() for part in accept_encoding.split(",")}
    for name in OFFERED:
        if name in accepted:
            return name, _ENCODERS[name]()
    return None


def decode(data: bytes, encoding: str, bytes_max: int) -> bytes:
    """A request body as it was before packing; refuses what unpacks to more than `bytes_max`."""
    if encoding in ("", "identity"):
        return data
    if encoding not in _ENCODERS:
        raise refused(
            UNKNOWN_COMPRESSION_METHOD,
            "UNKNOWN_COMPRESSION_METHOD",
            f"Content-Encoding {encoding!r} is not known here: use {', '.join(OFFERED)}.",
        )
    try:
        return _unpack(data, encoding, bytes_max)
    except (zlib.error, RuntimeError, EOFError, zstd.ZstdError) as error:
        raise refused(
            CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"The body is not valid {encoding}: {error}."
        ) from error


def _unpack(data: bytes, encoding: str, bytes_max: int) -> bytes:
    """Frame after frame, as clients send one frame a block."""
    unpacked = bytearray()
    rest = data
    while rest:
        if encoding in ("gzip", "deflate"):
            piece, rest = _inflate_member(rest, encoding, bytes_max - len(unpacked))
        else:
            piece, rest = _unpack_frame(rest, encoding, bytes_max - len(unpacked))
        unpacked += piece
    return bytes(unpacked)


def _inflate_member(data: bytes, encoding: str, bytes_max: int) -> tuple[bytes, bytes]:
    member = zlib.decompressobj(GZIP_WINDOW_BITS if encoding == "gzip" else zlib.MAX_WBITS)
    unpacked = bytearray()
    rest = data
    while not member.eof:
        piece = member.decompress(rest, GROWTH_STEP_BYTES)
        unpacked += piece
        _refuse_growth(len(unpacked), bytes_max)
        rest = member.unconsumed_tail
        if not piece and not rest and not member.eof:
            raise EOFError("it ends in the middle")
    return bytes(unpacked), member.unused_data


def _unpack_frame(data: bytes, encoding: str, bytes_max: int) -> tuple[bytes, bytes]:
    frame = zstd.ZstdDecompressor() if encoding == "zstd" else lz4.frame.LZ4FrameDecompressor()
    unpacked = bytearray(frame.decompress(data, max_length=GROWTH_STEP_BYTES))
    while not frame.eof:
        if frame.needs_input:
            raise EOFError("it ends in the middle")
        unpacked += frame.decompress(b"", max_length=GROWTH_STEP_BYTES)
        _refuse_growth(len(unpacked), bytes_max)
    return bytes(unpacked), frame.unused_data or b""


def _refuse_growth(size: int, bytes_max: int) -> None:
    if size > bytes_max:
        raise refused(
            TOO_LARGE,
            "TOO_MANY_BYTES",
            "The unpacked body is larger than this server takes: send smaller inserts.",
        )
