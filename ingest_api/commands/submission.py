"""Submission of a payment command: once per idempotency key, acknowledged by Kafka.

Valkey recognises repeats fast. It is not required: without it the command goes to Kafka again, and
the payment's own state, which remembers every command, ignores it or rejects another body.
"""

from typing import NamedTuple

from ingest_api.commands.documents import decode_outcome, decode_payment
from ingest_api.commands.errors import IdempotencyMismatch, PaymentUnknown, StatusUnavailable
from ingest_api.commands.outcome_waiter import OutcomeWaiter, raise_if_rejected
from ingest_api.commands.payment_reader import Owner, PaymentReader
from ingest_api.commands.publisher import Publisher
from ingest_api.commands.status_store import KeyReservation, StatusStore
from runtime import log
from schemas.enums import CommandKind
from schemas.records import PaymentCommand
from schemas.status_keys import command_key, idempotency_key_name, payment_key


class Submitted(NamedTuple):
    """A command that Kafka has acknowledged."""

    repeated: bool
    """The same request came before."""
    payment_unknown: bool = False
    """Valkey has nothing of the payment; the worker's outcome says whether it exists."""


class PaymentCommands:
    """Submits payment commands; `outcomes` waits for what becomes of them."""

    def __init__(self, publisher: Publisher, store: StatusStore, outcomes: OutcomeWaiter) -> None:
        self._publisher = publisher
        self._store = store
        self._payments = PaymentReader(store)
        self.outcomes = outcomes
        self._log = log.get("ingest_api.commands.submission")

    async def submit(self, command: PaymentCommand, traceparent: str) -> Submitted:
        """Returns when Kafka has the command, from now or from an earlier request.

        A command to a payment that Valkey does not know is taken: Valkey may have lost it, and the
        worker knows. Raises IdempotencyMismatch, PaymentNotFound (another merchant's), Overloaded,
        and CommandRejected for the repeat of a command whose rejection is known.
        """
        repeated, handled, unknown = False, False, False
        try:
            unknown = await self._is_unknown(command)
            reservation = await self._reserve_key(command)
            handled = self._check_fingerprint(command, reservation)
            repeated = handled or reservation.first_fingerprint is not None
        except StatusUnavailable:
            self._log.info("submitted without a lookup in Valkey", command_id=command.command_id)
        if not handled:
            await self._publisher.publish(command, traceparent)
        return Submitted(repeated, unknown)

    async def _is_unknown(self, command: PaymentCommand) -> bool:
        """Checks the payment's owner. Raises PaymentNotFound, StatusUnavailable."""
        if command.kind == CommandKind.CREATE:
            return False
        try:
            owner = Owner(command.merchant_id, command.mode)
            await self._payments.find_owned(command.payment_id, owner)
        except PaymentUnknown:
            self._log.info("submitted for an unknown payment", command_id=command.command_id)
            return True
        return False

    async def _reserve_key(self, command: PaymentCommand) -> KeyReservation:
        """Reserves the key. Raises StatusUnavailable."""
        owner = Owner(command.merchant_id, command.mode)
        return await self._store.reserve_key(
            idempotency_key_name(*owner, _idempotency_subject(command)),
            command.fingerprint,
            payment_key(command.payment_id),
            command_key(command.command_id),
        )

    @staticmethod
    def _check_fingerprint(command: PaymentCommand, reservation: KeyReservation) -> bool:
        """Whether the pipeline has handled it. Raises IdempotencyMismatch, CommandRejected."""
        payment = decode_payment(reservation.documents[0])
        outcome = decode_outcome(reservation.documents[1])
        created = payment if command.kind == CommandKind.CREATE else None
        known = [reservation.first_fingerprint]
        known += [seen.fingerprint for seen in (created, outcome) if seen is not None]
        if any(seen not in (None, command.fingerprint) for seen in known):
            raise IdempotencyMismatch
        if outcome is not None:
            raise_if_rejected(command, outcome)
        return outcome is not None or created is not None


def _idempotency_subject(command: PaymentCommand) -> str:
    """Creates are remembered by payment, so that other requests can look the payment up."""
    return command.payment_id if command.kind == CommandKind.CREATE else command.command_id
