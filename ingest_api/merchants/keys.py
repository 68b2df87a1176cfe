"""API keys and producer keys of a merchant: issued, rotated, revoked.

Kafka gets SHA-256 hashes of API keys. A key is created here and shown once: the answer to a repeat
of a request that was carried out has the same id and no secret.
"""

import secrets

from ingest_api.merchants.merchant_commands import MerchantCommands, merchant_command
from ingest_api.merchants.models import Act, KeyedAct, Made, NewKey, NewProducerKey, Rotation
from runtime.clock import now_ms
from runtime.merchant_registry import key_hash
from schemas.enums import MerchantCommandKind, Mode
from schemas.records import ApiKey, Merchant

_SECRET_BYTES = 32
_MILLISECONDS = 1000


def new_api_key(mode: Mode | str) -> str:
    """`sk_test_…` or `sk_live_…` with 256 random bits."""
    return f"sk_{Mode(mode).value}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def api_key_of(merchant: Merchant, key_id: str) -> ApiKey | None:
    """The merchant's API key with this id, unless it has ended."""
    return next((key for key in valid_api_keys(merchant) if key.key_id == key_id), None)


def valid_api_keys(merchant: Merchant) -> list[ApiKey]:
    """The merchant's API keys that have not ended."""
    now = now_ms()
    return [k for k in merchant.api_keys if k.expires_at_ms is None or k.expires_at_ms > now]


class MerchantKeys:
    """Every method publishes a command and waits until this process knows its effect.

    Each raises Overloaded if Kafka does not acknowledge.
    """

    def __init__(self, commands: MerchantCommands) -> None:
        self._commands = commands

    async def issue(self, keyed: KeyedAct, merchant_id: str, new: NewKey) -> Made:
        """One API key more."""
        return await self._make(
            keyed,
            merchant_id,
            MerchantCommandKind.ISSUE_API_KEY,
            key_mode=new.mode,
            key_scopes=new.scopes,
            key_label=new.label,
            key_expires_at_ms=_end_ms(new.expires_in_seconds),
        )

    async def rotate(self, keyed: KeyedAct, merchant_id: str, rotation: Rotation) -> Made:
        """A key with the scopes of another, which ends after the overlap."""
        return await self._make(
            keyed,
            merchant_id,
            MerchantCommandKind.ROTATE_API_KEY,
            key_mode=rotation.mode,
            key_label=rotation.label,
            replaced_key_id=rotation.replaced_key_id,
            key_expires_at_ms=_end_ms(rotation.overlap_seconds),
        )

    async def revoke(self, act: Act, merchant_id: str, key_id: str) -> bool:
        """The API key ends at once; returns whether this process knows already."""
        command = merchant_command(
            act, merchant_id, MerchantCommandKind.REVOKE_API_KEY, key_id, key_id=key_id
        )
        return await self._commands.carry_out(
            act, command, lambda merchant: api_key_of(merchant, key_id) is None
        )

    async def add_producer_key(
        self, keyed: KeyedAct, merchant_id: str, new: NewProducerKey
    ) -> Made:
        """One producer key more; a repeat has the same answer, because nothing in it is secret."""
        key_id = keyed.request.derived_id("pkey_")
        command = merchant_command(
            keyed.act,
            merchant_id,
            MerchantCommandKind.ADD_PRODUCER_KEY,
            key_id,
            keyed.request.fingerprint,
            key_id=key_id,
            key_mode=new.mode,
            key_label=new.label,
            public_key=new.public_key,
            key_expires_at_ms=_end_ms(new.expires_in_seconds),
        )
        known = await self._commands.carry_out(
            keyed.act,
            command,
            lambda merchant: any(k.key_id == key_id for k in merchant.producer_keys),
        )
        return Made(key_id, None, known)

    async def remove_producer_key(self, act: Act, merchant_id: str, key_id: str) -> bool:
        """Nothing that it signed is taken any more; returns whether this process knows already."""
        command = merchant_command(
            act, merchant_id, MerchantCommandKind.REMOVE_PRODUCER_KEY, key_id, key_id=key_id
        )
        return await self._commands.carry_out(
            act, command, lambda merchant: all(k.key_id != key_id for k in merchant.producer_keys)
        )

    async def _make(
        self, keyed: KeyedAct, merchant_id: str, kind: MerchantCommandKind, **fields: object
    ) -> Made:
        key_id = keyed.request.derived_id("key_")
        merchant = self._commands.get(merchant_id)
        if merchant is not None and api_key_of(merchant, key_id) is not None:
            return Made(key_id, None, known=True)
        secret = new_api_key(str(fields["key_mode"]))
        hashed = key_hash(secret)
        command = merchant_command(
            keyed.act,
            merchant_id,
            kind,
            key_id,
            keyed.request.fingerprint,
            key_id=key_id,
            key_hash=hashed,
            **fields,
        )
        known = await self._commands.carry_out(
            keyed.act, command, lambda merchant: api_key_of(merchant, key_id) is not None
        )
        merchant = self._commands.get(merchant_id)
        made = api_key_of(merchant, key_id) if merchant else None
        earlier = made is not None and made.key_hash != hashed
        return Made(key_id, None if earlier else secret, known)


def _end_ms(seconds: int | None) -> int | None:
    return None if seconds is None else now_ms() + seconds * _MILLISECONDS
