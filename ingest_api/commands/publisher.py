"""Publishes the API's records to their topics, with headers and metrics."""

from collections.abc import Callable

from ingest_api.commands.errors import Overloaded
from ingest_api.commands.producer import CommandProducer, NotAcknowledged, TooManyOutstanding
from runtime import telemetry
from schemas.envelopes import Message, to_message
from schemas.records import AuditAction, MerchantCommand, PaymentCommand, PayoutRequest

_SOURCE = "ingest_api"
_NOT_ACKNOWLEDGED = (
    "Kafka did not acknowledge in time. Send the same request with the same key again."
)


class Publisher:
    """Publishes a record to its topic and counts it."""

    def __init__(
        self, producer: CommandProducer, problem: Callable[[], str | None] = lambda: None
    ) -> None:
        """`problem`: why no record may be written now, or None."""
        self._producer = producer
        self._problem = problem
        self._commands = telemetry.counter("paystream_api_commands_total")

    async def publish(
        self, record: PaymentCommand | MerchantCommand | PayoutRequest, traceparent: str
    ) -> None:
        """Returns when the broker has the record. Raises Overloaded."""
        await self._send(to_message(record, _SOURCE, traceparent.encode()))
        self._commands.labels(record.kind).inc()

    async def publish_act(self, act: AuditAction, traceparent: str) -> None:
        """Returns when the broker has what an operator did. Raises Overloaded."""
        await self._send(to_message(act, _SOURCE, traceparent.encode()))

    async def _send(self, message: Message) -> None:
        if (problem := self._problem()) is not None:
            raise Overloaded(problem)
        try:
            await self._producer.send(
                message.topic, key=message.key, value=message.value, headers=message.headers
            )
        except TooManyOutstanding as error:
            raise Overloaded from error
        except NotAcknowledged as error:
            raise Overloaded(_NOT_ACKNOWLEDGED) from error
