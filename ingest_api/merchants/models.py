"""Merchants, keys and endpoints as their administration returns them; secrets are shown once."""

from typing import NamedTuple

from msgspec import Struct

from ingest_api.commands.idempotency import KeyedRequest


class MerchantDetails(Struct, frozen=True, kw_only=True):
    """What a merchant registers with; fees are set by operators only."""

    name: str
    webhook_url: str | None = None
    bank_account: str | None = None
    payout_schedule: str = "daily"
    fee_basis_points: int | None = None
    fee_fixed_minor: int | None = None


class Act(NamedTuple):
    """Who does something to a merchant, and why, for the audit; and its trace."""

    actor: str
    justification: str | None
    traceparent: str


class KeyedAct(NamedTuple):
    """An act that makes something: a repeat makes it once."""

    act: Act
    request: KeyedRequest


class ApiKeys(Struct, frozen=True):
    """Shown once: only their hashes are stored. None in the answer to a repeat."""

    test: str | None
    live: str | None


class NewEndpoint(Struct, frozen=True):
    """A webhook endpoint; `secret` verifies Standard Webhooks signatures and is shown once."""

    id: str
    url: str
    secret: str | None


class NewMerchant(Struct, frozen=True):
    """A merchant with all secrets it needs."""

    id: str
    api_keys: ApiKeys
    webhook_endpoint: NewEndpoint | None


class NewKey(Struct, frozen=True, kw_only=True):
    """What a new API key may do; scopes are those of `schemas.enums.Scope`."""

    mode: str
    scopes: list[str]
    label: str | None = None
    expires_in_seconds: int | None = None


class Rotation(Struct, frozen=True, kw_only=True):
    """A key that takes the place of another, which ends after the overlap."""

    replaced_key_id: str
    mode: str
    overlap_seconds: int = 0
    label: str | None = None


class NewProducerKey(Struct, frozen=True, kw_only=True):
    """An Ed25519 public key that a producer signs its commands with."""

    mode: str
    public_key: bytes
    label: str | None = None
    expires_in_seconds: int | None = None


class Made(NamedTuple):
    """What a request made: its id; its secret, unless an earlier request showed it."""

    id: str
    secret: str | None
    known: bool
    """This process knows it already."""
