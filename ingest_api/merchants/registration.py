"""Registration of merchants and endpoints: secrets are created here and shown once.

Kafka gets SHA-256 hashes of API keys, and signing secrets encrypted with the master key.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from typing import Any

from ingest_api.commands.publisher import Publisher
from ingest_api.merchants.models import ApiKeys, MerchantDetails, NewEndpoint, NewMerchant
from runtime.clock import now_ms
from runtime.encryption import encrypt
from runtime.id_generator import new_id
from runtime.merchant_registry import MerchantRegistry, key_hash
from schemas import ids
from schemas.enums import MerchantCommandKind, Mode, Source
from schemas.records import MerchantCommand

_SECRET_BYTES = 32
_POLL_SECONDS = 0.02


def new_api_key(mode: Mode) -> str:
    """`sk_test_…` or `sk_live_…` with 256 random bits."""
    return f"sk_{mode.value}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def new_signing_secret() -> str:
    """A Standard Webhooks secret: `whsec_` and 32 random bytes in base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def _command(
    merchant_id: str, kind: MerchantCommandKind, subject: str, **fields: Any
) -> MerchantCommand:
    """`subject` is the id that this command creates: the command's own id is derived from it."""
    return MerchantCommand(
        command_id=ids.command_id(merchant_id, kind.value, subject),
        merchant_id=merchant_id,
        kind=kind.value,
        fingerprint=ids.fingerprint({"kind": kind.value, "subject": subject, **fields}),
        issued_at_ms=now_ms(),
        source=Source.API.value,
        **fields,
    )


class Registration:
    """Registers merchants and endpoints, and waits until this process knows them."""

    def __init__(
        self,
        publisher: Publisher,
        registry: MerchantRegistry,
        master_key: str,
        wait_seconds: float,
        *,
        is_open: bool,
    ) -> None:
        self._publisher = publisher
        self._registry = registry
        self._master_key = master_key
        self._wait_seconds = wait_seconds
        self.is_open = is_open

    async def register_merchant(
        self, details: MerchantDetails, traceparent: str
    ) -> tuple[NewMerchant, bool]:
        """The merchant with its secrets, and whether its keys work already.

        Raises Overloaded.
        """
        merchant_id = new_id("mer_")
        keys = {mode: new_api_key(mode) for mode in Mode}
        register = _command(
            merchant_id,
            MerchantCommandKind.REGISTER,
            merchant_id,
            name=details.name,
            bank_account=details.bank_account,
            payout_schedule=details.payout_schedule,
            fee_basis_points=details.fee_basis_points,
            fee_fixed_minor=details.fee_fixed_minor,
        )
        commands = [register, *(_key_command(merchant_id, mode, keys[mode]) for mode in keys)]
        endpoint = None
        if details.webhook_url is not None:
            endpoint = _new_endpoint(details.webhook_url)
            commands.append(self._endpoint_command(merchant_id, endpoint))
        # Sent in this order to one partition by an idempotent producer: they arrive in this order.
        await asyncio.gather(*(self._publisher.publish(c, traceparent) for c in commands))
        created = NewMerchant(
            merchant_id, ApiKeys(test=keys[Mode.TEST], live=keys[Mode.LIVE]), endpoint
        )
        return created, await self._wait_until_known(created)

    async def add_endpoint(
        self, merchant_id: str, url: str, traceparent: str
    ) -> tuple[NewEndpoint, bool]:
        """The endpoint with its secret, and whether the registry has it already.

        Raises Overloaded.
        """
        endpoint = _new_endpoint(url)
        command = self._endpoint_command(merchant_id, endpoint)
        await self._publisher.publish(command, traceparent)
        return endpoint, await self._wait_until(lambda: endpoint.id in self._endpoints(merchant_id))

    async def remove_endpoint(self, merchant_id: str, endpoint_id: str, traceparent: str) -> bool:
        """Removes the endpoint; returns whether the registry knows already. Raises Overloaded."""
        kind = MerchantCommandKind.REMOVE_ENDPOINT
        command = _command(merchant_id, kind, endpoint_id, endpoint_id=endpoint_id)
        await self._publisher.publish(command, traceparent)
        return await self._wait_until(lambda: endpoint_id not in self._endpoints(merchant_id))

    def _endpoint_command(self, merchant_id: str, endpoint: NewEndpoint) -> MerchantCommand:
        return _command(
            merchant_id,
            MerchantCommandKind.ADD_ENDPOINT,
            endpoint.id,
            endpoint_id=endpoint.id,
            endpoint_url=endpoint.url,
            encrypted_secret=encrypt(self._master_key, endpoint.secret, endpoint.id),
        )

    def _endpoints(self, merchant_id: str) -> set[str]:
        merchant = self._registry.get(merchant_id)
        return {e.endpoint_id for e in merchant.endpoints if e.enabled} if merchant else set()

    async def _wait_until_known(self, created: NewMerchant) -> bool:
        hashes = [key_hash(created.api_keys.test), key_hash(created.api_keys.live)]
        wanted = {created.webhook_endpoint.id} if created.webhook_endpoint else set()

        def known() -> bool:
            keys = all(self._registry.by_api_key_hash(hashed) for hashed in hashes)
            return keys and wanted <= self._endpoints(created.id)

        return await self._wait_until(known)

    async def _wait_until(self, condition: Callable[[], bool]) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait_seconds
        while not condition():
            if loop.time() >= end:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True


def _new_endpoint(url: str) -> NewEndpoint:
    return NewEndpoint(new_id("we_"), url, new_signing_secret())


def _key_command(merchant_id: str, mode: Mode, api_key: str) -> MerchantCommand:
    key_id = new_id("key_")
    return _command(
        merchant_id,
        MerchantCommandKind.ROTATE_API_KEY,
        key_id,
        key_id=key_id,
        key_mode=mode.value,
        key_hash=key_hash(api_key),
    )
