"""Commands about merchants: published, and followed until this process knows their effect."""

import asyncio
from collections.abc import Callable
from typing import Any

from ingest_api.commands.publisher import Publisher
from ingest_api.merchants.models import Act
from runtime.clock import now_ms
from runtime.merchant_registry import MerchantRegistry
from schemas import ids
from schemas.enums import MerchantCommandKind, Source
from schemas.records import Merchant, MerchantCommand

_POLL_SECONDS = 0.02


def merchant_command(
    act: Act,
    merchant_id: str,
    kind: MerchantCommandKind,
    subject: str,
    fingerprint: str | None = None,
    **fields: Any,
) -> MerchantCommand:
    """`subject` is the id that this command is about: the command's own id is derived from it.

    `fingerprint` is that of the request, where fields hold what differs at a repeat.
    """
    return MerchantCommand(
        command_id=ids.command_id(merchant_id, kind.value, subject),
        merchant_id=merchant_id,
        kind=kind.value,
        fingerprint=fingerprint or ids.fingerprint({"kind": kind.value, "subject": subject}),
        issued_at_ms=now_ms(),
        source=Source.API.value,
        actor=act.actor,
        justification=act.justification,
        **fields,
    )


class MerchantCommands:
    """Sends commands and waits, a bounded time, until the registry shows what they did."""

    def __init__(
        self, publisher: Publisher, registry: MerchantRegistry, wait_seconds: float
    ) -> None:
        self._publisher = publisher
        self._registry = registry
        self._wait_seconds = wait_seconds

    async def send(self, act: Act, *commands: MerchantCommand) -> None:
        """Returns when Kafka has all. Raises Overloaded.

        Sent in this order to one partition by an idempotent producer, they arrive in this order.
        """
        await asyncio.gather(*(self._publisher.publish(c, act.traceparent) for c in commands))

    async def carry_out(
        self, act: Act, command: MerchantCommand, effect: Callable[[Merchant], bool]
    ) -> bool:
        """Send one command; returns whether this process knows its effect. Raises Overloaded."""
        await self.send(act, command)
        return await self.reaches(command.merchant_id, effect)

    def get(self, merchant_id: str) -> Merchant | None:
        """The merchant as this process knows it."""
        return self._registry.get(merchant_id)

    async def reaches(self, merchant_id: str, condition: Callable[[Merchant], bool]) -> bool:
        """Whether the merchant, as this process knows it, fulfils the condition within the time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait_seconds
        while True:
            merchant = self._registry.get(merchant_id)
            if merchant is not None and condition(merchant):
                return True
            if loop.time() >= end:
                return False
            await asyncio.sleep(_POLL_SECONDS)
