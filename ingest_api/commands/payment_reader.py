"""Reads of payments from Valkey, bound to the merchant and mode that own them."""

from typing import NamedTuple

from ingest_api.commands.documents import Payment, decode_payment
from ingest_api.commands.errors import (
    PaymentNotFound,
    PaymentNotReadable,
    PaymentUnknown,
    StatusUnavailable,
)
from ingest_api.commands.status_store import StatusStore
from schemas.status_keys import idempotency_key_name, payment_key

_NOT_KNOWN_YET = "The payment is not known yet. Send the same request again."


class Owner(NamedTuple):
    """The merchant and mode that a payment belongs to."""

    merchant_id: str
    mode: str


class PaymentReader:
    """Finds payments by id."""

    def __init__(self, store: StatusStore) -> None:
        self._store = store

    async def find(self, payment_id: str, owner: Owner | None) -> Payment | None:
        """The payment; None if its create was accepted and no worker has handled it yet.

        Operators read payments of any owner (None). Raises PaymentNotFound, StatusUnavailable.
        """
        if owner is None:
            [view] = await self._store.get_many(payment_key(payment_id))
            payment = decode_payment(view)
            if payment is None:
                raise PaymentNotFound
            return payment
        return await self.find_owned(payment_id, owner)

    async def find_owned(self, payment_id: str, owner: Owner) -> Payment | None:
        """As `find`, for the payment's owner. Raises PaymentUnknown if Valkey has nothing of it."""
        view, accepted = await self._store.get_many(
            payment_key(payment_id), idempotency_key_name(*owner, payment_id)
        )
        payment = decode_payment(view)
        if payment is None:
            if accepted is None:
                raise PaymentUnknown
            return None
        if (payment.merchant_id, payment.mode) != owner:
            raise PaymentNotFound
        return payment

    async def owner_of(self, payment_id: str) -> Owner:
        """The payment's owner. Raises PaymentNotReadable while its view cannot be read."""
        try:
            [view] = await self._store.get_many(payment_key(payment_id))
            payment = decode_payment(view)
        except StatusUnavailable as error:
            raise PaymentNotReadable from error
        if payment is None:
            raise PaymentNotReadable(_NOT_KNOWN_YET)
        return Owner(payment.merchant_id, payment.mode)
