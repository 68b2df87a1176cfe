"""Requests about keys, for merchants in the mode of their key and for operators in both."""

from litestar import Response

from ingest_api.http.key_models import (
    AddedProducerKey,
    AddProducerKey,
    IssueApiKey,
    IssuedApiKey,
    RotateApiKey,
)
from ingest_api.http.problems import ApiProblem, invalid
from ingest_api.http.requests import ApiRequest
from ingest_api.http.response_models import made_response
from ingest_api.merchants.keys import MerchantKeys, api_key_of, valid_api_keys
from ingest_api.merchants.models import KeyedAct, Rotation
from schemas.merchant_bounds import API_KEYS_MAX, PRODUCER_KEYS_MAX
from schemas.records import ApiKey, Merchant


class KeyRequests:
    """What the caller asks for the keys of a merchant. Every method raises ApiProblem."""

    def __init__(self, request: ApiRequest, keys: MerchantKeys) -> None:
        self._request = request
        self._keys = keys

    async def issue(self, merchant: Merchant, data: IssueApiKey) -> Response[IssuedApiKey]:
        """A new key, as far as the caller's own scopes reach."""
        mode = self._mode(data.mode)
        self._request.caller.require_scopes(*data.scopes)
        new = data.new_key(mode)
        meaning: dict[str, object] = {
            "scopes": new.scopes,
            "label": new.label,
            "expires_in_seconds": new.expires_in_seconds,
        }
        keyed, repeated = await self._request.keyed(
            merchant.merchant_id, mode, "issue_api_key", meaning
        )
        count = sum(key.mode == mode for key in valid_api_keys(merchant))
        if not repeated and count >= API_KEYS_MAX:
            raise ApiProblem("too_many_keys")
        made = await self._keys.issue(KeyedAct(self._request.act, keyed), merchant.merchant_id, new)
        issued = IssuedApiKey(id=made.id, mode=mode, scopes=new.scopes, api_key=made.secret)
        return made_response(issued, known=made.known, repeated=made.secret is None)

    async def rotate(
        self, merchant: Merchant, key_id: str, data: RotateApiKey
    ) -> Response[IssuedApiKey]:
        """A new key with the scopes of the old one, which the caller must have too."""
        old = self._api_key(merchant, key_id)
        self._request.caller.require_scopes(*old.scopes)
        meaning: dict[str, object] = {
            "key_id": key_id,
            "overlap_seconds": data.overlap_seconds,
            "label": data.label,
        }
        keyed, _ = await self._request.keyed(
            merchant.merchant_id, old.mode, "rotate_api_key", meaning
        )
        rotation = Rotation(
            replaced_key_id=key_id,
            mode=old.mode,
            overlap_seconds=data.overlap_seconds,
            label=data.label,
        )
        made = await self._keys.rotate(
            KeyedAct(self._request.act, keyed), merchant.merchant_id, rotation
        )
        issued = IssuedApiKey(id=made.id, mode=old.mode, scopes=old.scopes, api_key=made.secret)
        return made_response(issued, known=made.known, repeated=made.secret is None)

    async def revoke(self, merchant: Merchant, key_id: str) -> None:
        """The key ends at once."""
        self._api_key(merchant, key_id)
        await self._keys.revoke(self._request.act, merchant.merchant_id, key_id)

    async def add_producer_key(
        self, merchant: Merchant, data: AddProducerKey
    ) -> Response[AddedProducerKey]:
        """A key that a producer's commands are signed with."""
        mode = self._mode(data.mode)
        new = data.new_key(mode)
        meaning: dict[str, object] = {
            "public_key": new.public_key.hex(),
            "label": new.label,
            "expires_in_seconds": new.expires_in_seconds,
        }
        keyed, repeated = await self._request.keyed(
            merchant.merchant_id, mode, "add_producer_key", meaning
        )
        key_id = keyed.derived_id("pkey_")
        others = [key for key in merchant.producer_keys if key.key_id != key_id]
        if any(key.public_key == new.public_key for key in others):
            raise ApiProblem("already_exists", "The merchant has this public key already.")
        if not repeated and sum(key.mode == mode for key in others) >= PRODUCER_KEYS_MAX:
            raise ApiProblem("too_many_keys")
        made = await self._keys.add_producer_key(
            KeyedAct(self._request.act, keyed), merchant.merchant_id, new
        )
        added = AddedProducerKey(id=made.id, mode=mode)
        return made_response(added, known=made.known, repeated=repeated)

    async def remove_producer_key(self, merchant: Merchant, key_id: str) -> None:
        """The key ends at once."""
        own = self._request.caller.mode
        modes = {key.key_id: key.mode for key in merchant.producer_keys}
        if key_id not in modes or own not in (None, modes[key_id]):
            raise ApiProblem("not_found")
        await self._keys.remove_producer_key(self._request.act, merchant.merchant_id, key_id)

    def _mode(self, asked: str | None) -> str:
        """A key's own mode; operators name it."""
        own = self._request.caller.mode
        if own is None and asked is None:
            raise invalid("/mode", "The mode is missing. Operators must name test or live")
        if asked not in (None, own) and own is not None:
            raise ApiProblem("forbidden", f"A {own} key manages {own} keys only.")
        return str(own or asked)

    def _api_key(self, merchant: Merchant, key_id: str) -> ApiKey:
        """The key, unless it belongs to a mode that the caller may not see."""
        found = api_key_of(merchant, key_id)
        if found is None or self._request.caller.mode not in (None, found.mode):
            raise ApiProblem("not_found")
        return found
