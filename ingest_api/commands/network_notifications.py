"""Submission of what the card network reports on its own about one of our operations."""

from ingest_api.commands.payment_reader import PaymentReader
from ingest_api.commands.publisher import Publisher
from runtime.clock import now_ms
from schemas.enums import Source
from schemas.network_results import NetworkResult, RequestedOperation, result_command


class NetworkNotifications:
    """Turns a notification into the command that carries the result to the payment."""

    def __init__(self, publisher: Publisher, payments: PaymentReader) -> None:
        self._publisher = publisher
        self._payments = payments

    async def submit(
        self, operation: str, operation_id: str, result: NetworkResult, traceparent: str
    ) -> None:
        """Returns when Kafka has the command. Raises PaymentNotReadable, Overloaded.

        `operation_id` is the idempotency key under which the network was called: it begins with
        the payment id.
        """
        payment_id = operation_id.partition(":")[0]
        owner = await self._payments.owner_of(payment_id)
        requested = RequestedOperation(
            payment_id=payment_id,
            merchant_id=owner.merchant_id,
            mode=owner.mode,
            operation=operation,
            operation_id=operation_id,
            attempt=1,  # the network does not count our attempts: only the first is certain
        )
        command = result_command(requested, result, now_ms(), source=Source.NETWORK_NOTIFICATION)
        await self._publisher.publish(command, traceparent)
