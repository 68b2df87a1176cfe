"""Waits for a command's outcome (`Prefer: wait=N`) by polling Valkey."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ingest_api.commands.documents import (
    CommandOutcome,
    Payment,
    decode_outcome,
    decode_payment,
)
from ingest_api.commands.errors import CommandRejected, IdempotencyMismatch, StatusUnavailable
from ingest_api.commands.status_store import StatusStore
from ingest_api.settings import ApiSettings
from schemas.enums import CommandKind, PaymentStatus
from schemas.records import PaymentCommand
from schemas.status_keys import command_key, payment_key

T = TypeVar("T")
_UNDECIDED = frozenset({PaymentStatus.NEW, PaymentStatus.AUTHORIZING, PaymentStatus.UNKNOWN})
_REJECTED = "rejected"
_POLL_GROWTH = 1.3
_POLL_SECONDS_MAX = 0.2


class OutcomeWaiter:
    """Waits for outcomes on behalf of requests, a bounded number of them at a time."""

    def __init__(self, store: StatusStore, settings: ApiSettings) -> None:
        self._store = store
        self._settings = settings
        self._waiting_requests = 0
        self._cancelled = False

    def cancel_all(self) -> None:
        """End every wait with what is known now; for the end of the process."""
        self._cancelled = True

    async def wait_for_outcome(self, command: PaymentCommand, seconds: float) -> Payment | None:
        """The payment once the command is decided; None if the time ends before.

        A create is decided when the payment has left `authorizing` with a known result of the
        network; any other command when the payment's state machine has applied it.

        Raises CommandRejected, IdempotencyMismatch.
        """
        if seconds <= 0 or self._waiting_requests >= self._settings.waiting_requests_max:
            return None
        self._waiting_requests += 1
        try:
            return await self._poll(lambda: self._decided(command), seconds)
        except StatusUnavailable:
            return None
        finally:
            self._waiting_requests -= 1

    async def _poll(self, read: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        pause = self._settings.wait_poll_seconds
        while True:
            result = await read()
            left = end - loop.time()
            if result is not None or left <= 0 or self._cancelled:
                return result
            await asyncio.sleep(min(pause, left))
            pause = min(pause * _POLL_GROWTH, _POLL_SECONDS_MAX)

    async def _decided(self, command: PaymentCommand) -> Payment | None:
        documents = await self._store.get_many(
            payment_key(command.payment_id), command_key(command.command_id)
        )
        payment, outcome = decode_payment(documents[0]), decode_outcome(documents[1])
        if command.kind == CommandKind.CREATE:
            return _decided_create(command, payment, outcome)
        if outcome is None or payment is None:
            return None
        raise_if_rejected(command, outcome)
        return payment


def _decided_create(
    command: PaymentCommand, payment: Payment | None, outcome: CommandOutcome | None
) -> Payment | None:
    if payment is None:
        if outcome is not None:
            raise_if_rejected(command, outcome)
        return None
    if payment.fingerprint not in (None, command.fingerprint):
        raise IdempotencyMismatch
    return None if payment.status in _UNDECIDED else payment


def raise_if_rejected(command: PaymentCommand, outcome: CommandOutcome) -> None:
    """Raises CommandRejected for a rejection, IdempotencyMismatch for another command's."""
    if outcome.fingerprint not in (None, command.fingerprint):
        raise IdempotencyMismatch
    if outcome.result == _REJECTED:
        raise CommandRejected(outcome.reason)
