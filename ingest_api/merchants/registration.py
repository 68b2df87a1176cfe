"""Registration of merchants and endpoints: secrets are created here and shown once.

Kafka gets SHA-256 hashes of API keys, and signing secrets encrypted with the master key.
"""

import base64
import secrets

from ingest_api.merchants.keys import new_api_key
from ingest_api.merchants.merchant_commands import MerchantCommands, merchant_command
from ingest_api.merchants.models import (
    Act,
    ApiKeys,
    KeyedAct,
    MerchantDetails,
    NewEndpoint,
    NewMerchant,
)
from runtime.encryption import encrypt
from runtime.merchant_registry import key_hash
from schemas import ids
from schemas.enums import MerchantCommandKind, Mode
from schemas.records import Merchant, MerchantCommand

_SECRET_BYTES = 32


def new_signing_secret() -> str:
    """A Standard Webhooks secret: `whsec_` and 32 random bytes in base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def enabled_endpoints(merchant: Merchant) -> set[str]:
    """Ids of the endpoints that events go to."""
    return {endpoint.endpoint_id for endpoint in merchant.endpoints if endpoint.enabled}


class Registration:
    """Registers merchants and endpoints, and waits until this process knows them."""

    def __init__(self, commands: MerchantCommands, master_key: str, *, is_open: bool) -> None:
        self._commands = commands
        self._master_key = master_key
        self.is_open = is_open

    async def register_merchant(
        self, keyed: KeyedAct, details: MerchantDetails
    ) -> tuple[NewMerchant, bool]:
        """The merchant with its secrets, and whether its keys work already.

        Of a merchant that an earlier request registered: without them. Raises Overloaded.
        """
        act, merchant_id = keyed.act, keyed.request.derived_id("mer_")
        keys = {mode: new_api_key(mode) for mode in Mode}
        endpoint_id = ids.derived_id("we_", merchant_id)
        url = details.webhook_url
        if self._commands.get(merchant_id) is not None:
            shown = None if url is None else NewEndpoint(endpoint_id, url, None)
            return NewMerchant(merchant_id, ApiKeys(test=None, live=None), shown), True
        register = merchant_command(
            act,
            merchant_id,
            MerchantCommandKind.REGISTER,
            merchant_id,
            keyed.request.fingerprint,
            name=details.name,
            bank_account=details.bank_account,
            payout_schedule=details.payout_schedule,
            fee_basis_points=details.fee_basis_points,
            fee_fixed_minor=details.fee_fixed_minor,
        )
        commands = [register, *(_key_command(act, merchant_id, mode, keys[mode]) for mode in keys)]
        endpoint = None if url is None else NewEndpoint(endpoint_id, url, new_signing_secret())
        if endpoint is not None:
            commands.append(self._endpoint_command(act, merchant_id, endpoint, None))
        await self._commands.send(act, *commands)
        created = NewMerchant(
            merchant_id, ApiKeys(test=keys[Mode.TEST], live=keys[Mode.LIVE]), endpoint
        )
        return created, await self._wait_until_known(created, keys)

    async def add_endpoint(
        self, keyed: KeyedAct, merchant_id: str, url: str, mode: str
    ) -> tuple[NewEndpoint, bool]:
        """The endpoint with its secret, and whether the registry has it already.

        Events of the mode go there. Raises Overloaded.
        """
        endpoint_id = keyed.request.derived_id("we_")
        merchant = self._commands.get(merchant_id)
        if merchant is not None and any(e.endpoint_id == endpoint_id for e in merchant.endpoints):
            return NewEndpoint(endpoint_id, url, None), True
        endpoint = NewEndpoint(endpoint_id, url, new_signing_secret())
        command = self._endpoint_command(
            keyed.act, merchant_id, endpoint, mode, keyed.request.fingerprint
        )
        known = await self._commands.carry_out(
            keyed.act, command, lambda merchant: endpoint_id in enabled_endpoints(merchant)
        )
        return endpoint, known

    async def remove_endpoint(self, act: Act, merchant_id: str, endpoint_id: str) -> bool:
        """Removes the endpoint; returns whether the registry knows already. Raises Overloaded."""
        kind = MerchantCommandKind.REMOVE_ENDPOINT
        command = merchant_command(act, merchant_id, kind, endpoint_id, endpoint_id=endpoint_id)
        return await self._commands.carry_out(
            act, command, lambda merchant: endpoint_id not in enabled_endpoints(merchant)
        )

    def _endpoint_command(
        self,
        act: Act,
        merchant_id: str,
        endpoint: NewEndpoint,
        mode: str | None,
        fingerprint: str | None = None,
    ) -> MerchantCommand:
        return merchant_command(
            act,
            merchant_id,
            MerchantCommandKind.ADD_ENDPOINT,
            endpoint.id,
            fingerprint,
            endpoint_id=endpoint.id,
            endpoint_url=endpoint.url,
            endpoint_mode=mode,
            encrypted_secret=encrypt(self._master_key, endpoint.secret or "", endpoint.id),
        )

    async def _wait_until_known(self, created: NewMerchant, keys: dict[Mode, str]) -> bool:
        hashes = {key_hash(key) for key in keys.values()}
        wanted = {created.webhook_endpoint.id} if created.webhook_endpoint else set()
        return await self._commands.reaches(
            created.id,
            lambda merchant: (
                hashes <= {key.key_hash for key in merchant.api_keys}
                and wanted <= enabled_endpoints(merchant)
            ),
        )


def _key_command(act: Act, merchant_id: str, mode: Mode, api_key: str) -> MerchantCommand:
    """A later registration under the same key would replace it: the newest one shown works."""
    key_id = ids.derived_id("key_", merchant_id, mode.value, key_hash(api_key))
    return merchant_command(
        act,
        merchant_id,
        MerchantCommandKind.ROTATE_API_KEY,
        key_id,
        key_id=key_id,
        key_mode=mode.value,
        key_hash=key_hash(api_key),
    )
