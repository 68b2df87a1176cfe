"""What requests may contain: strict types, bounds, no unknown field (pure)."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ingest_api.merchants.models import MerchantDetails
from schemas.enums import Reversal
from schemas.money import AMOUNT_MINOR_MAX, CURRENCIES
from schemas.pan import is_compact_jwe
from schemas.payment_commands import CAPTURE_DELAY_SECONDS_MAX
from schemas.urls import URL_CHARACTERS_MAX, TargetRules, url_error

Amount = Annotated[
    int,
    Meta(ge=1, le=AMOUNT_MINOR_MAX, description="Minor units of the currency.", examples=[1999]),
]
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Without control characters.",
    ),
]
Url = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=URL_CHARACTERS_MAX,
        pattern="^[!-~]+$",
        description="An https URL to a public host, as RFC 3986 writes it.",
        examples=["https://shop.example/hooks"],
        extra_json_schema={"format": "https-url"},
    ),
]
Currency = Annotated[
    str,
    Meta(
        pattern="^[A-Z]{3}$",
        description="ISO 4217 alphabetic code.",
        examples=["EUR"],
        extra_json_schema={"enum": sorted(CURRENCIES)},
    ),
]
Jwe = Annotated[
    str,
    Meta(
        min_length=20,
        max_length=8192,
        description="Card data as compact JWE (RFC 7516) to the key at /.well-known/jwks.json.",
        extra_json_schema={"format": "compact-jwe"},
    ),
]
KEYED = {
    "authorize": "authorize",
    "capture": "capture",
    "refund": "refund",
    "void": "void",
    Reversal.AUTHORIZE.value: "void",
    Reversal.CAPTURE.value: "refund",
}
"""Kind of operation in an idempotency key -> what the network is asked for under it."""
_LOOSEST = TargetRules(allow_loopback=True, allow_private_addresses=True)


class InvalidField(ValueError):
    """A value of the right type that is wrong; `field` is its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def _check_currency(currency: str | None) -> None:
    if currency is not None and currency not in CURRENCIES:
        raise InvalidField("currency", "not a code of ISO 4217")


def _check_url(url: str | None, field: str) -> None:
    """What no setting allows; the route checks the rest with the API's settings."""
    if url is not None and (problem := url_error(url, _LOOSEST)):
        raise InvalidField(field, problem)


class CreatePayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A payment to authorize and, unless capture_method is manual, to capture."""

    amount: Amount
    currency: Currency
    card: Jwe
    capture_method: Literal["automatic", "manual"] = "automatic"
    capture_delay_seconds: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=CAPTURE_DELAY_SECONDS_MAX,
                description="Capture this long after the authorization.",
            ),
        ]
        | None
    ) = None
    reference: Text | None = None
    return_url: Url | None = None

    def __post_init__(self) -> None:
        _check_currency(self.currency)
        _check_url(self.return_url, "return_url")
        if not is_compact_jwe(self.card):
            raise InvalidField("card", "must be a compact JWE: five base64url parts joined by dots")


class CapturePayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without an amount: all that is left. `final` releases the rest of the authorization.

    Null is refused: it is what a variable holds that was never set, and would mean everything.
    """

    amount: Amount | UnsetType = UNSET
    final: bool | UnsetType = UNSET

    @property
    def amount_minor(self) -> int | None:
        """None for all that is left."""
        return None if self.amount is UNSET else self.amount

    @property
    def is_final(self) -> bool | None:
        """None where the request does not say."""
        return None if self.final is UNSET else self.final


class RefundPayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without an amount: all that was captured and not yet refunded. Null is refused."""

    amount: Amount | UnsetType = UNSET

    @property
    def amount_minor(self) -> int | None:
        """None for all that is left."""
        return None if self.amount is UNSET else self.amount


class EmptyBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing: `{}` or no body at all."""


class RegisterMerchant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A merchant; the fee fields need the operators' token."""

    name: Text
    webhook_url: Url | None = None
    bank_account: Annotated[str, Meta(min_length=4, max_length=64)] | None = None
    payout_schedule: Literal["daily", "manual"] = "daily"
    fee_basis_points: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    fee_fixed_minor: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None

    def __post_init__(self) -> None:
        _check_url(self.webhook_url, "webhook_url")

    @property
    def sets_fees(self) -> bool:
        """Whether it asks for what only operators may set."""
        return self.fee_basis_points is not None or self.fee_fixed_minor is not None

    def meaning(self) -> dict[str, object]:
        """What the fingerprint covers."""
        return asdict(self)

    def details(self) -> MerchantDetails:
        """The request as registration takes it."""
        return MerchantDetails(**asdict(self))


class AddEndpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where webhooks are to go as well."""

    url: Url

    def __post_init__(self) -> None:
        _check_url(self.url, "url")


class NetworkNotification(Struct, frozen=True, kw_only=True):
    """A report of the card network about one operation; unknown fields are ignored."""

    idempotency_key: Annotated[
        str,
        Meta(
            pattern=rf"^pay_[0-9a-z]{{26}}:({'|'.join(KEYED)}):[0-9]{{1,6}}$",
            description="The key under which we asked for the operation.",
        ),
    ]
    operation: Literal["authorize", "capture", "refund", "void"]
    outcome: Literal["approved", "declined", "requires_action", "failed"]
    network_reference: Text | None = None
    decline_code: Text | None = None
    action_url: Url | None = None

    def __post_init__(self) -> None:
        if KEYED[self.idempotency_key.split(":")[1]] != self.operation:
            raise InvalidField("operation", "not the operation of the idempotency key")


class ClosePayouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pay out now; all currencies unless one is named. Operators name the merchant.

    Merchants close what belongs to the mode of their key; operators name it, live unless said. Null
    is refused: it would mean everything.
    """

    currency: Currency | UnsetType = UNSET
    mode: Literal["test", "live"] | UnsetType = UNSET
    merchant_id: Annotated[str, Meta(pattern="^mer_[0-9a-z]{20,40}$")] | UnsetType = UNSET

    def __post_init__(self) -> None:
        _check_currency(self.currency or None)
