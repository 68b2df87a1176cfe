"""`Prefer: wait=N`: looks into Valkey until a command has an outcome or the time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ingest_api.commands.status_store import StatusStore, StatusUnavailable, outcome_of, payment_of
from ingest_api.http.problems import ApiProblem
from ingest_api.http.response_models import CommandOutcome, Payment
from ingest_api.settings import ApiSettings
from schemas.enums import CommandKind, PaymentStatus, RejectionReason
from schemas.errors import CATALOGUE
from schemas.records import PaymentCommand

T = TypeVar("T")
_UNDECIDED = frozenset({PaymentStatus.NEW, PaymentStatus.AUTHORIZING, PaymentStatus.UNKNOWN})
_REJECTED = "rejected"
_POLL_GROWTH = 1.3
_POLL_SECONDS_MAX = 0.2


def rejection(reason: str | None) -> ApiProblem:
    """The problem that a rejected command is answered with."""
    if reason == RejectionReason.NO_SUCH_PAYMENT:
        return ApiProblem("not_found")
    if reason is not None and reason in CATALOGUE:
        return ApiProblem(reason)
    return ApiProblem("command_rejected", f"The payment refused the command: {reason}.")


class OutcomeWaiter:
    """Waits for outcomes on behalf of requests, a bounded number of them at a time."""

    def __init__(self, store: StatusStore, settings: ApiSettings) -> None:
        self._store = store
        self._settings = settings
        self._waiting_requests = 0
        self._released = False

    def release(self) -> None:
        """Let every waiting request go with what is known; for the end of the process."""
        self._released = True

    async def outcome_of(self, command: PaymentCommand, seconds: float) -> Payment | None:
        """The payment once it has taken the command; None if the time is over before.

        A create is decided when the payment has left `authorizing` with a known answer of the
        network; any other command when the payment's state machine has applied it. Raises
        ApiProblem if the command was rejected.
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

    async def _poll(self, ask: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        pause = self._settings.wait_poll_seconds
        while True:
            found = await ask()
            left = end - loop.time()
            if found is not None or left <= 0 or self._released:
                return found
            await asyncio.sleep(min(pause, left))
            pause = min(pause * _POLL_GROWTH, _POLL_SECONDS_MAX)

    async def _decided(self, command: PaymentCommand) -> Payment | None:
        view, ending = await self._store.documents(
            f"payment:{command.payment_id}", f"command:{command.command_id}"
        )
        payment, outcome = payment_of(view), outcome_of(ending)
        if command.kind == CommandKind.CREATE:
            return _decided_create(command, payment, outcome)
        if outcome is None or payment is None:
            return None
        _check_outcome(command, outcome)
        return payment


def _decided_create(
    command: PaymentCommand, payment: Payment | None, outcome: CommandOutcome | None
) -> Payment | None:
    if payment is None:
        if outcome is not None:
            _check_outcome(command, outcome)
        return None
    if payment.fingerprint not in (None, command.fingerprint):
        raise ApiProblem("idempotency_mismatch")
    return None if payment.status in _UNDECIDED else payment


def _check_outcome(command: PaymentCommand, outcome: CommandOutcome) -> None:
    if outcome.fingerprint not in (None, command.fingerprint):
        raise ApiProblem("idempotency_mismatch")
    if outcome.result == _REJECTED:
        raise rejection(outcome.reason)
