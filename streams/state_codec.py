"""Payment states as bytes: MessagePack arrays, for the table and its changelog.

Fields stand by position: new ones go to the end with a default, so that old bytes stay readable.
"""

import msgspec

from streams.domain.state import PaymentState

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PaymentState)


def encode_state(state: PaymentState) -> bytes:
    """The same bytes for the same state."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> PaymentState:
    """The state. Raises msgspec.ValidationError or DecodeError for anything else."""
    return _decoder.decode(data)
