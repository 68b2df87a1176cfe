"""Idempotency keys of requests that are not about a payment: one mechanism for every POST.

What a request makes has an id that is derived from the key, so that a repeat makes it once. Valkey
remembers what the key was first used for, and so refuses another request under it.
"""

from ingest_api.commands.errors import IdempotencyMismatch, StatusUnavailable
from ingest_api.commands.status_store import StatusStore
from runtime import log
from schemas import ids
from schemas.status_keys import idempotency_key_name


class KeyedRequest:
    """One request: who asks for which operation under which key, and what it means."""

    def __init__(
        self, owner: str, mode: str, operation: str, key: str, meaning: dict[str, object]
    ) -> None:
        self._parts = (owner, mode, operation, key)
        self._owner, self._mode = owner, mode
        self.fingerprint = ids.fingerprint({"operation": operation, **meaning})

    def derived_id(self, prefix: str) -> str:
        """The id of what the request makes; the same at each repeat."""
        return ids.derived_id(prefix, *self._parts)

    @property
    def reservation(self) -> str:
        """Name in Valkey."""
        return idempotency_key_name(self._owner, self._mode, self.derived_id("req_"))


class IdempotencyKeys:
    """Recognises repeats for a day. Without Valkey a repeat is carried out again, harmlessly."""

    def __init__(self, store: StatusStore) -> None:
        self._store = store
        self._log = log.get("ingest_api.commands.idempotency")

    async def is_repeat(self, request: KeyedRequest) -> bool:
        """Whether the same request came before. Raises IdempotencyMismatch for another one."""
        try:
            reservation = await self._store.reserve_key(request.reservation, request.fingerprint)
        except StatusUnavailable:
            self._log.info("idempotency_key_not_checked", reservation=request.reservation)
            return False
        if reservation.first_fingerprint not in (None, request.fingerprint):
            raise IdempotencyMismatch
        return reservation.first_fingerprint is not None
