"""How a payment command is taken: once per idempotency key, acknowledged, answered.

Valkey answers repeats fast. It is not needed: without it the command goes to Kafka again, and the
payment's own state, which remembers every command, absorbs it or rejects another body.
"""

from typing import NamedTuple

from ingest_api.commands.publisher import Publisher
from ingest_api.commands.status_store import (
    KeyReservation,
    StatusStore,
    StatusUnavailable,
    outcome_of,
    payment_of,
)
from ingest_api.http.problems import ApiProblem
from runtime import log
from schemas.enums import CommandKind
from schemas.records import PaymentCommand


def key_name(merchant_id: str, mode: str, subject: str) -> str:
    """Valkey key that remembers a used idempotency key; bound to its merchant and mode."""
    return f"idempotency:{merchant_id}:{mode}:{subject}"


def _subject(command: PaymentCommand) -> str:
    """Creates are remembered by payment, so that other requests can ask for the payment."""
    return command.payment_id if command.kind == CommandKind.CREATE else command.command_id


class Taken(NamedTuple):
    """A command that Kafka has."""

    repeated: bool
    """The same request came before."""


class PaymentCommands:
    """Takes payment commands."""

    def __init__(self, publisher: Publisher, store: StatusStore) -> None:
        self._publisher = publisher
        self._store = store
        self._log = log.get("ingest_api.commands.submission")

    async def take(self, command: PaymentCommand, traceparent: str) -> Taken:
        """Returns when Kafka has the command, now or from before.

        Raises ApiProblem: idempotency_mismatch (another body came with this key), not_found (the
        payment is not this merchant's), overloaded.
        """
        repeated, settled = False, False
        try:
            use = await self._look(command)
            settled = self._check(command, use)
            repeated = settled or use.first_fingerprint is not None
        except StatusUnavailable:
            self._log.info("taken without a look at Valkey", command_id=command.command_id)
        if not settled:
            await self._publisher.payment_command(command, traceparent)
        return Taken(repeated)

    async def _look(self, command: PaymentCommand) -> KeyReservation:
        """The payment's owner is checked before its key is noted. Raises StatusUnavailable."""
        if command.kind != CommandKind.CREATE:
            await self._check_owner(command)
        return await self._store.reserve_key(
            key_name(command.merchant_id, command.mode, _subject(command)),
            command.fingerprint,
            f"payment:{command.payment_id}",
            f"command:{command.command_id}",
        )

    async def _check_owner(self, command: PaymentCommand) -> None:
        owned = key_name(command.merchant_id, command.mode, command.payment_id)
        view, accepted = await self._store.documents(f"payment:{command.payment_id}", owned)
        if not is_owner(view, accepted, command.merchant_id, command.mode):
            raise ApiProblem("not_found")

    @staticmethod
    def _check(command: PaymentCommand, use: KeyReservation) -> bool:
        """Whether the pipeline has handled this command. Raises ApiProblem idempotency_mismatch."""
        payment, outcome = payment_of(use.documents[0]), outcome_of(use.documents[1])
        created = payment if command.kind == CommandKind.CREATE else None
        known = [use.first_fingerprint]
        known += [seen.fingerprint for seen in (created, outcome) if seen is not None]
        if any(seen not in (None, command.fingerprint) for seen in known):
            raise ApiProblem("idempotency_mismatch")
        return outcome is not None or created is not None


def is_owner(view: bytes | None, accepted: bytes | None, merchant_id: str, mode: str) -> bool:
    """Whether the payment is this merchant's in this mode: by its view, or as accepted just now.

    Raises StatusUnavailable if the view is not readable.
    """
    payment = payment_of(view)
    if payment is None:
        return accepted is not None
    return payment.merchant_id == merchant_id and payment.mode == mode
