"""The merchants agent: commands in, events and the compacted record of each merchant out."""

import msgspec

from engine import Batch, Record, TableView
from schemas.codec import encode
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT
from schemas.records import MerchantCommand
from schemas.topics import MERCHANTS
from streams.domain.merchant_audit import audit_action
from streams.domain.merchants import MerchantPolicy, MerchantState, decide_merchant
from workers.catalogue import WORKERS
from workers.placement import Placement

GROUP = WORKERS["merchants"].group
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(MerchantState)


def encode_merchant(state: MerchantState) -> bytes:
    """The same bytes for the same state."""
    return _encoder.encode(state)


def decode_merchant(data: bytes) -> MerchantState:
    """The state. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


class MerchantsAgent:
    """Handles batches of merchants.commands."""

    def __init__(self, policy: MerchantPolicy, placement: Placement) -> None:
        self._policy = policy
        self._placement = placement

    def handle(self, batch: Batch, merchants: TableView[MerchantState]) -> None:
        """Handle every command of the batch, in order. Raises MisplacedRecord."""
        for record in self._placement.records(batch):
            self._handle(batch, merchants, record)

    def _handle(self, batch: Batch, merchants: TableView[MerchantState], record: Record) -> None:
        command: MerchantCommand = record.value
        merchant_id = command.merchant_id
        decision = decide_merchant(merchants.get(merchant_id), command, self._policy)
        event = decision.event
        if event is None:
            return
        merchants[merchant_id] = decision.state
        trace = record.headers.get(TRACEPARENT)
        message = to_message(event, GROUP, trace)
        batch.emit(*message)
        batch.emit(*to_message(audit_action(command, event), GROUP, trace))
        merchant = decision.state.merchant
        if decision.applied and merchant is not None:
            batch.emit(MERCHANTS, merchant_id, encode(merchant), message.headers)
