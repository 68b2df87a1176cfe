"""Who calls: a merchant by API key, or an operator by the admin token."""

import hmac
from typing import NamedTuple

from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_headers import unauthenticated
from runtime.merchant_registry import MerchantRegistry, key_hash
from schemas.enums import MerchantStatus, Scope
from schemas.records import ApiKey, Merchant


class Caller(NamedTuple):
    """A merchant acts in the mode of its key, as far as the key's scopes reach; or an operator."""

    merchant: Merchant | None
    api_key: ApiKey | None

    @property
    def is_operator(self) -> bool:
        """Has the admin token."""
        return self.merchant is None

    @property
    def mode(self) -> str | None:
        """Of the key; None for an operator."""
        return None if self.api_key is None else self.api_key.mode

    def require_merchant(self) -> tuple[Merchant, str]:
        """The merchant and mode that payments belong to. Raises ApiProblem for operators."""
        if self.merchant is None or self.api_key is None:
            raise ApiProblem("forbidden", "Payments belong to merchants: use a merchant's API key.")
        return self.merchant, self.api_key.mode

    def require_scopes(self, *scopes: str) -> None:
        """Operators may do everything. Raises ApiProblem that names the scope that is missing."""
        if self.api_key is None:
            return
        missing = [scope for scope in scopes if scope not in self.api_key.scopes]
        if missing:
            has = ", ".join(self.api_key.scopes) or "none"
            raise ApiProblem(
                "scope_missing",
                f"This needs the scope {missing[0]}; the key has {has}. Use a key that has it.",
            )


OPERATOR = Caller(None, None)
ALL_SCOPES = tuple(scope.value for scope in Scope)


class Authenticator:
    """Turns bearer tokens into callers; only hashes of keys are known here."""

    def __init__(self, registry: MerchantRegistry, admin_token: str) -> None:
        self._registry = registry
        self._admin_hash = key_hash(admin_token) if admin_token else None

    def identify(self, token: str) -> Caller:
        """The caller. Raises ApiProblem: 401 for an unknown, revoked or expired key.

        403 for a merchant that is not active or may not use the key's mode. 503 as long as the
        merchants are not all read after a start: a key that is not known yet is no wrong key.

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
        if merchant.status != MerchantStatus.ACTIVE:
            raise ApiProblem("forbidden", f"This merchant is {merchant.status}. Ask the operator.")
        if merchant.modes and api_key.mode not in merchant.modes:
            raise ApiProblem("forbidden", f"This merchant may not use the mode {api_key.mode}.")
        return Caller(merchant, api_key)
