"""Payment states, and markers of archived ones, as MessagePack arrays for tables and changelogs.

Fields stand by position: new ones go to the end with a default, so that old bytes stay readable.
"""

import msgspec

from streams.domain.archive import ArchivedPayment
from streams.domain.state import PaymentState

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PaymentState)
_marker_decoder = msgspec.msgpack.Decoder(ArchivedPayment)


def encode_state(state: PaymentState) -> bytes:
    """The same bytes for the same state."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> PaymentState:
    """The state. Raises msgspec.ValidationError or DecodeError for anything else."""
    return _decoder.decode(data)


def encode_marker(marker: ArchivedPayment) -> bytes:
    """The same bytes for the same marker."""
    return _encoder.encode(marker)


def decode_marker(data: bytes) -> ArchivedPayment:
    """The marker. Raises msgspec.ValidationError or DecodeError for anything else."""
    return _marker_decoder.decode(data)
