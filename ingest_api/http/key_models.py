"""Bodies about keys and about what a merchant may do (pure)."""

import base64
import binascii
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ingest_api.http.request_models import InvalidField
from ingest_api.merchants.administration import Limits, MerchantChange
from ingest_api.merchants.models import NewKey, NewProducerKey
from schemas.enums import Mode
from schemas.merchant_bounds import LABEL_CHARACTERS_MAX, PUBLIC_KEY_BYTES, REQUESTS_MAX
from schemas.money import AMOUNT_MINOR_MAX
from schemas.records import ApiKey, Merchant, ProducerKey
from schemas.signatures import is_usable_key

_DAY_SECONDS = 86_400
_SECONDS_MAX = 10 * 365 * _DAY_SECONDS
OVERLAP_SECONDS_MAX = 30 * _DAY_SECONDS
Label = Annotated[
    str, Meta(min_length=1, max_length=LABEL_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Lifetime = Annotated[int, Meta(ge=60, le=_SECONDS_MAX, description="After it the key has ended.")]
ModeName = Literal["test", "live"]
ScopeName = Literal["read", "write", "refunds", "payouts"]
Limit = Annotated[int, Meta(ge=1, le=REQUESTS_MAX)]


class IssueApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key more. A merchant's key issues keys of its own mode, with no scope beyond its own."""

    scopes: Annotated[list[ScopeName], Meta(min_length=1, max_length=4)]
    mode: ModeName | None = None
    label: Label | None = None
    expires_in_seconds: Lifetime | None = None

    def new_key(self, mode: str) -> NewKey:
        """The request with the mode that it means."""
        return NewKey(
            mode=mode,
            scopes=sorted(set(self.scopes)),
            label=self.label,
            expires_in_seconds=self.expires_in_seconds,
        )


class RotateApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both keys work for the overlap; then the old one has ended."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = _DAY_SECONDS
    label: Label | None = None


class AddProducerKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of a producer's key; the private one never leaves the producer."""

    public_key: Annotated[
        str,
        Meta(
            min_length=43,
            max_length=44,
            pattern=r"^[A-Za-z0-9+/_-]{42}[AEIMQUYcgkosw048]=?$",
            description="Ed25519 (RFC 8032): the 32 bytes in base64 or base64url.",
            examples=["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        ),
    ]
    mode: ModeName | None = None
    label: Label | None = None
    expires_in_seconds: Lifetime | None = None

    def __post_init__(self) -> None:
        self.key_bytes()

    def key_bytes(self) -> bytes:
        """The key. Raises InvalidField unless it is a usable Ed25519 key in base64."""
        standard = self.public_key.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            decoded = base64.b64decode(standard + "=", validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) != PUBLIC_KEY_BYTES:
            raise InvalidField("public_key", "must be 32 bytes in base64")
        if not is_usable_key(decoded):
            raise InvalidField("public_key", "is a point of small order: make a new key")
        return decoded

    def new_key(self, mode: str) -> NewProducerKey:
        """The request with the mode that it means."""
        return NewProducerKey(
            mode=mode,
            public_key=self.key_bytes(),
            label=self.label,
            expires_in_seconds=self.expires_in_seconds,
        )


class MerchantLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All limits at once: what is null or absent has no limit of the merchant's own."""

    payment_amount_max: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    requests_per_second_max: Limit | None = None
    request_burst_max: Limit | None = None

    def limits(self) -> Limits:
        """The request as the administration takes it."""
        return Limits(
            payment_amount_minor_max=self.payment_amount_max,
            requests_per_second_max=self.requests_per_second_max,
            request_burst_max=self.request_burst_max,
        )


class ChangeMerchant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is absent stays as it is."""

    status: Literal["active", "suspended", "closed"] | UnsetType = UNSET
    modes: Annotated[list[ModeName], Meta(min_length=1, max_length=2)] | UnsetType = UNSET
    limits: MerchantLimits | UnsetType = UNSET
    fee_basis_points: Annotated[int, Meta(ge=0, le=10_000)] | UnsetType = UNSET
    fee_fixed_minor: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET

    def change(self) -> MerchantChange:
        """The request as the administration takes it."""
        return MerchantChange(
            status=self.status or None,
            modes=None if self.modes is UNSET else list(self.modes),
            limits=None if self.limits is UNSET else self.limits.limits(),
            fee_basis_points=None if self.fee_basis_points is UNSET else self.fee_basis_points,
            fee_fixed_minor=None if self.fee_fixed_minor is UNSET else self.fee_fixed_minor,
        )


class ApiKeyView(Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: str
    mode: str
    scopes: list[str]
    label: str
    created_at_ms: int
    expires_at_ms: int | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyView":
        """What may be shown of the key."""
        return cls(
            id=key.key_id,
            mode=key.mode,
            scopes=key.scopes,
            label=key.label,
            created_at_ms=key.created_at_ms,
            expires_at_ms=key.expires_at_ms,
        )


class IssuedApiKey(Struct, frozen=True, kw_only=True):
    """`api_key` is shown once; null in the answer to a repeat."""

    id: str
    mode: str
    scopes: list[str]
    api_key: str | None


class ProducerKeyView(Struct, frozen=True, kw_only=True):
    """A producer's public key; `id` goes into the header of each command that it signs."""

    id: str
    mode: str
    public_key: str
    label: str
    created_at_ms: int
    expires_at_ms: int | None

    @classmethod
    def of(cls, key: ProducerKey) -> "ProducerKeyView":
        """The key as it is shown."""
        return cls(
            id=key.key_id,
            mode=key.mode,
            public_key=base64.b64encode(key.public_key).decode(),
            label=key.label,
            created_at_ms=key.created_at_ms,
            expires_at_ms=key.expires_at_ms,
        )


class AddedProducerKey(Struct, frozen=True, kw_only=True):
    """The id of the key, for the header of each command that it signs."""

    id: str
    mode: str


class MerchantView(Struct, frozen=True, kw_only=True):
    """A merchant as operators see it, without secrets."""

    id: str
    name: str
    status: str
    modes: list[str]
    payout_schedule: str
    fee_basis_points: int
    fee_fixed_minor: int
    limits: MerchantLimits
    version: int

    @classmethod
    def of(cls, merchant: Merchant) -> "MerchantView":
        """What operators see."""
        return cls(
            id=merchant.merchant_id,
            name=merchant.name,
            status=merchant.status,
            modes=merchant.modes or [mode.value for mode in Mode],
            payout_schedule=merchant.payout_schedule,
            fee_basis_points=merchant.fee_basis_points,
            fee_fixed_minor=merchant.fee_fixed_minor,
            limits=MerchantLimits(
                payment_amount_max=merchant.payment_amount_minor_max,
                requests_per_second_max=merchant.requests_per_second_max,
                request_burst_max=merchant.request_burst_max,
            ),
            version=merchant.version,
        )
