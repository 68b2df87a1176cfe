"""Payment states and archive stubs as MessagePack arrays for tables and changelogs.

Fields stand by position: new ones go to the end with a default, so that old bytes stay readable.
"""

import msgspec

from streams.domain.archive import ArchivedPayment
from streams.domain.state import PaymentState
from workers.state_codec import state_codec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PaymentState)
_archived_decoder = msgspec.msgpack.Decoder(ArchivedPayment)


def encode_state(state: PaymentState) -> bytes:
    """The same bytes for the same state."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> PaymentState:
    """The state. Raises msgspec.ValidationError or DecodeError for anything else."""
    return _decoder.decode(data)


def encode_archived(archived: ArchivedPayment) -> bytes:
    """The same bytes for the same stub."""
    return _encoder.encode(archived)


def decode_archived(data: bytes) -> ArchivedPayment:
    """The stub. Raises msgspec.ValidationError or DecodeError for anything else."""
    return _archived_decoder.decode(data)


PAYMENTS_TABLE = state_codec("payments", PaymentState, encode_state, decode_state)
ARCHIVED_TABLE = state_codec("archived", ArchivedPayment, encode_archived, decode_archived)
