"""Publishes the API's records to their topics, with headers and metrics."""

import msgspec

from ingest_api.commands.errors import Overloaded
from ingest_api.commands.producer import CommandProducer, NotAcknowledged, TooManyOutstanding
from runtime import telemetry
from schemas import topics
from schemas.codec import encode
from schemas.headers import record_headers
from schemas.records import MerchantCommand, PaymentCommand, PayoutRequest

_SOURCE = "ingest_api"
_NOT_ACKNOWLEDGED = (
    "Kafka did not acknowledge in time. Send the same request with the same key again."
)


class Publisher:
    """Each method returns when the broker has the record, or raises Overloaded."""

    def __init__(self, producer: CommandProducer) -> None:
        self._producer = producer
        self._commands = telemetry.counter("paystream_api_commands_total")

    async def payment_command(self, command: PaymentCommand, traceparent: str) -> None:
        """To `payments.commands`."""
        headers = self._headers(command, command.command_id, command.kind, traceparent)
        await self._send(topics.PAYMENTS_COMMANDS, command.payment_id, command, headers)
        self._commands.labels(command.kind).inc()

    async def merchant_command(self, command: MerchantCommand, traceparent: str) -> None:
        """To `merchants.commands`."""
        headers = self._headers(command, command.command_id, command.kind, traceparent)
        await self._send(topics.MERCHANTS_COMMANDS, command.merchant_id, command, headers)
        self._commands.labels(command.kind).inc()

    async def payout_request(self, request: PayoutRequest, traceparent: str) -> None:
        """To `payouts.requests`."""
        headers = self._headers(request, request.request_id, request.kind, traceparent)
        await self._send(topics.PAYOUTS_REQUESTS, request.merchant_id, request, headers)
        self._commands.labels(request.kind).inc()

    @staticmethod
    def _headers(
        record: PaymentCommand | MerchantCommand | PayoutRequest,
        record_id: str,
        kind: str,
        traceparent: str,
    ) -> dict[str, bytes]:
        return record_headers(
            record_id,
            f"{type(record).__name__}.{kind}",
            record.issued_at_ms,
            _SOURCE,
            traceparent.encode(),
        )

    async def _send(
        self, topic: str, key: str, record: msgspec.Struct, headers: dict[str, bytes]
    ) -> None:
        try:
            await self._producer.send(topic, key=key, value=encode(record), headers=headers)
        except TooManyOutstanding as error:
            raise Overloaded from error
        except NotAcknowledged as error:
            raise Overloaded(_NOT_ACKNOWLEDGED) from error
