"""Merchants and endpoints as registration returns them, with the secrets that are shown once."""

from msgspec import Struct


class MerchantDetails(Struct, frozen=True, kw_only=True):
    """What a merchant registers with; fees are set by operators only."""

    name: str
    webhook_url: str | None = None
    bank_account: str | None = None
    payout_schedule: str = "daily"
    fee_basis_points: int | None = None
    fee_fixed_minor: int | None = None


class ApiKeys(Struct, frozen=True):
    """Shown once: only their hashes are stored."""

    test: str
    live: str


class NewEndpoint(Struct, frozen=True):
    """A webhook endpoint; `secret` verifies Standard Webhooks signatures and is shown once."""

    id: str
    url: str
    secret: str


class NewMerchant(Struct, frozen=True):
    """A merchant with all secrets it needs."""

    id: str
    api_keys: ApiKeys
    webhook_endpoint: NewEndpoint | None
