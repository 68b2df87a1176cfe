"""A payment's events as one value, carried by commands of kind `history`.

zlib (RFC 1950) over the events one after another: 4 bytes of length (big endian), then the event as
it stands on the topic. A history of 300 events takes about 15 KB so.
"""

import zlib
from collections.abc import Iterator, Sequence

from schemas.codec import UndecodableRecord, decode
from schemas.records import PaymentEvent

PACKED_BYTES_MAX = 900_000
"""Below `schemas.topics.RECORD_BYTES_MAX`, with room for the command around it."""
UNPACKED_BYTES_MAX = 64_000_000
_LENGTH_BYTES = 4


class HistoryTooLarge(ValueError):
    """The events do not fit into one command, however well they are packed."""


class HistoryMismatch(ValueError):
    """The events that were sent are not the events of the payment."""


def pack(records: Sequence[bytes]) -> bytes:
    """Events in the order of their sequence. Raises HistoryTooLarge."""
    joined = b"".join(len(r).to_bytes(_LENGTH_BYTES, "big") + r for r in records)
    packed = zlib.compress(joined)
    if len(packed) > PACKED_BYTES_MAX or len(joined) > UNPACKED_BYTES_MAX:
        raise HistoryTooLarge(
            f"{len(records)} events take {len(packed)} bytes packed and {len(joined)} unpacked;"
            f" {PACKED_BYTES_MAX} and {UNPACKED_BYTES_MAX} fit into a command"
        )
    return packed


def unpack(packed: bytes | None) -> list[PaymentEvent]:
    """The events. Raises HistoryMismatch for anything that `pack` does not make."""
    if packed is None:
        raise HistoryMismatch("the command carries no history")
    unpacking = zlib.decompressobj()
    try:
        joined = unpacking.decompress(packed, UNPACKED_BYTES_MAX)
        if not unpacking.eof or unpacking.unused_data:
            raise HistoryMismatch("the history is cut off, too long, or followed by other bytes")
        return [decode(PaymentEvent, record) for record in _records(joined)]
    except (zlib.error, UndecodableRecord) as error:
        raise HistoryMismatch(f"the history cannot be read: {error}") from error


def _records(joined: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(joined):
        end = at + _LENGTH_BYTES + int.from_bytes(joined[at : at + _LENGTH_BYTES], "big")
        if end > len(joined):
            raise HistoryMismatch("the history ends in the middle of an event")
        yield joined[at + _LENGTH_BYTES : end]
        at = end
