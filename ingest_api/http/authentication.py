"""Who calls: a merchant by API key, or an operator by the admin token."""

import hmac
from typing import NamedTuple

from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_headers import unauthenticated
from runtime.merchant_registry import MerchantRegistry, key_hash
from schemas.records import Merchant

_ACTIVE = "active"


class Caller(NamedTuple):
    """A merchant acts in the mode of its key; an operator has neither."""

    merchant: Merchant | None
    mode: str | None

    @property
    def is_operator(self) -> bool:
        """Has the admin token."""
        return self.merchant is None

    def require_merchant(self) -> tuple[Merchant, str]:
        """The merchant and mode that payments belong to. Raises ApiProblem for operators."""
        if self.merchant is None or self.mode is None:
            raise ApiProblem("forbidden", "Payments belong to merchants: use a merchant's API key.")
        return self.merchant, self.mode


OPERATOR = Caller(None, None)


class Authenticator:
    """Turns bearer tokens into callers; only hashes of keys are known here."""

    def __init__(self, registry: MerchantRegistry, admin_token: str) -> None:
        self._registry = registry
        self._admin_hash = key_hash(admin_token) if admin_token else None

    def identify(self, token: str) -> Caller:
        """The caller. Raises ApiProblem: 401 for an unknown or expired key, 403 if closed.

        503 as long as the merchants are not all read after a start: a key that is not known yet
        is no wrong key.

        Only hashes are looked up and compared: the time that it takes says nothing about a key.
        """
        hashed = key_hash(token)
        if self._admin_hash is not None and hmac.compare_digest(hashed, self._admin_hash):
            return OPERATOR
        found = self._registry.by_api_key_hash(hashed)
        if found is None and not self._registry.ready:
            raise ApiProblem("starting", headers={"Retry-After": "1"})
        if found is None or not hmac.compare_digest(hashed, found[1].key_hash):
            raise unauthenticated()
        merchant, api_key = found
        if merchant.status != _ACTIVE:
            raise ApiProblem("forbidden", "This merchant is closed.")
        return Caller(merchant, api_key.mode)
