"""What only operators decide about a merchant: its status, its modes, its limits, its fees."""

from typing import Any

from msgspec import Struct

from ingest_api.merchants.merchant_commands import MerchantCommands, merchant_command
from ingest_api.merchants.models import Act
from runtime.id_generator import new_id
from schemas.enums import MerchantCommandKind as Kind
from schemas.records import Merchant, MerchantCommand


class Limits(Struct, frozen=True, kw_only=True):
    """A merchant's own limits; None: none, or the API's setting."""

    payment_amount_minor_max: int | None = None
    requests_per_second_max: int | None = None
    request_burst_max: int | None = None


class MerchantChange(Struct, frozen=True, kw_only=True):
    """What is to change; None leaves it as it is."""

    status: str | None = None
    modes: list[str] | None = None
    limits: Limits | None = None
    fee_basis_points: int | None = None
    fee_fixed_minor: int | None = None


def limits_of(merchant: Merchant) -> Limits:
    """The merchant's own limits."""
    return Limits(
        payment_amount_minor_max=merchant.payment_amount_minor_max,
        requests_per_second_max=merchant.requests_per_second_max,
        request_burst_max=merchant.request_burst_max,
    )


class Administration:
    """Changes merchants. What is as it should be gets no command."""

    def __init__(self, commands: MerchantCommands) -> None:
        self._commands = commands

    async def change(self, act: Act, merchant: Merchant, change: MerchantChange) -> bool:
        """Returns whether this process knows the change already. Raises Overloaded."""
        commands = _commands(act, merchant, change)
        await self._commands.send(act, *commands)
        version = merchant.version + len(commands)
        return await self._commands.reaches(merchant.merchant_id, lambda m: m.version >= version)


def _commands(act: Act, merchant: Merchant, change: MerchantChange) -> list[MerchantCommand]:
    commands = []

    def ask(kind: Kind, **fields: Any) -> None:
        commands.append(merchant_command(act, merchant.merchant_id, kind, new_id("chg_"), **fields))

    if change.status not in (None, merchant.status):
        ask(Kind.SET_STATUS, status=change.status)
    if change.modes is not None and sorted(change.modes) != sorted(merchant.modes):
        ask(Kind.SET_MODES, modes=change.modes)
    if change.limits not in (None, limits_of(merchant)):
        limits = change.limits or Limits()
        ask(
            Kind.SET_LIMITS,
            payment_amount_minor_max=limits.payment_amount_minor_max,
            requests_per_second_max=limits.requests_per_second_max,
            request_burst_max=limits.request_burst_max,
        )
    if change.fee_basis_points is not None or change.fee_fixed_minor is not None:
        ask(
            Kind.SET_FEES,
            fee_basis_points=change.fee_basis_points,
            fee_fixed_minor=change.fee_fixed_minor,
        )
    return commands
