"""Several keys of one merchant: issued, revoked, rotated; and the keys of its producers."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import fastavro
import pytest

from schemas import registry
from schemas.codec import decode
from schemas.enums import MerchantCommandKind as K
from schemas.enums import MerchantStatus, Scope
from schemas.enums import RejectionReason as R
from schemas.merchant_bounds import (
    API_KEYS_MAX,
    LABEL_CHARACTERS_MAX,
    PRODUCER_KEYS_MAX,
    REQUESTS_MAX,
)
from schemas.records import ApiKey, Merchant, MerchantCommand
from streams.agents.merchants import decode_merchant, encode_merchant
from streams.domain.merchant_keys import ALL_SCOPES
from streams.domain.merchants import (
    STATUS_CHANGES,
    MerchantPolicy,
    MerchantState,
    decide_merchant,
)


@dataclass
class Shop:
    """One merchant, command by command; `ask` gives the reason of a refusal."""

    state: MerchantState = field(default_factory=MerchantState)
    now_ms: int = 1000

    def ask(self, kind: str, **fields: Any) -> str | None:
        self.now_ms += 1
        command = MerchantCommand(
            command_id=f"cmd_{self.now_ms}",
            merchant_id="mer_1",
            kind=kind,
            fingerprint="f",
            issued_at_ms=self.now_ms,
            source="api",
            **fields,
        )
        decision = decide_merchant(self.state, command, MerchantPolicy())
        self.state = decision.state
        assert decision.event is not None
        return decision.event.reason

    @property
    def merchant(self) -> Merchant:
        assert self.state.merchant is not None
        return self.state.merchant

    @property
    def keys(self) -> dict[str, ApiKey]:
        return {key.key_id: key for key in self.merchant.api_keys}


@pytest.fixture
def shop() -> Shop:
    made = Shop()
    assert made.ask(K.REGISTER, name="Shop") is None
    return made


def key(number: int, mode: str = "test", **more: Any) -> dict[str, Any]:
    given = {"key_id": f"key_{number}", "key_hash": f"hash_{number}", "key_mode": mode}
    return {**given, "key_scopes": ["read"], **more}


def producer_key(number: int, mode: str = "live", **more: Any) -> dict[str, Any]:
    given = {"key_id": f"pkey_{number}", "public_key": bytes([number]) * 32, "key_mode": mode}
    return {**given, **more}


def test_several_keys_of_one_mode_stand_side_by_side(shop: Shop) -> None:
    assert shop.ask(K.ISSUE_API_KEY, **key(1, key_scopes=["write", "read"])) is None
    assert shop.ask(K.ISSUE_API_KEY, **key(2, key_label="till", key_expires_at_ms=9000)) is None
    assert shop.keys == {
        "key_1": ApiKey("key_1", "test", "hash_1", None, ["read", "write"], "", 1002),
        "key_2": ApiKey("key_2", "test", "hash_2", 9000, ["read"], "till", 1003),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_scopes": []},
        {"key_scopes": ["read", "all"]},
        {"key_mode": "production"},
        {"key_hash": None},
        {"key_id": ""},
        {"key_label": "x" * (LABEL_CHARACTERS_MAX + 1)},
        {"key_expires_at_ms": 1002},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    assert shop.ask(K.ISSUE_API_KEY, **{**key(1), **wrong}) == R.FIELD_INVALID
    assert shop.keys == {}


def test_keys_are_bounded_for_each_mode_and_ended_ones_make_room(shop: Shop) -> None:
    shop.ask(K.ISSUE_API_KEY, **key(0, "live"))
    shop.ask(K.ISSUE_API_KEY, **key(1, key_expires_at_ms=1100))
    for number in range(2, API_KEYS_MAX + 1):
        assert shop.ask(K.ISSUE_API_KEY, **key(number)) is None
    assert shop.ask(K.ISSUE_API_KEY, **key(99)) == R.TOO_MANY_KEYS
    shop.now_ms = 1100
    assert shop.ask(K.ISSUE_API_KEY, **key(99)) is None
    assert len(shop.keys) == API_KEYS_MAX + 1
    assert "key_1" not in shop.keys


def test_a_revoked_key_is_gone_at_once_and_the_others_stay(shop: Shop) -> None:
    shop.ask(K.ISSUE_API_KEY, **key(1))
    shop.ask(K.ISSUE_API_KEY, **key(2))
    assert shop.ask(K.REVOKE_API_KEY, key_id="key_1") is None
    assert list(shop.keys) == ["key_2"]
    assert shop.ask(K.REVOKE_API_KEY, key_id="key_1") == R.NO_SUCH_KEY


def test_one_key_is_rotated_with_an_overlap_and_keeps_its_scopes(shop: Shop) -> None:
    shop.ask(K.ISSUE_API_KEY, **key(1, key_scopes=["refunds"]))
    shop.ask(K.ISSUE_API_KEY, **key(2))
    rotation = key(3, key_scopes=[], replaced_key_id="key_1", key_expires_at_ms=9000)
    assert shop.ask(K.ROTATE_API_KEY, **rotation) is None
    ends = {key_id: (k.expires_at_ms, k.scopes) for key_id, k in shop.keys.items()}
    assert ends == {
        "key_1": (9000, ["refunds"]),
        "key_2": (None, ["read"]),
        "key_3": (None, ["refunds"]),
    }


def test_a_rotation_names_a_key_of_its_mode(shop: Shop) -> None:
    shop.ask(K.ISSUE_API_KEY, **key(1, "live"))
    for replaced in ("key_1", "key_9"):
        reason = shop.ask(K.ROTATE_API_KEY, **key(2, replaced_key_id=replaced))
        assert reason == R.NO_SUCH_KEY


def test_a_rotation_never_drops_a_key_that_it_does_not_replace(shop: Shop) -> None:
    for number in range(API_KEYS_MAX):
        shop.ask(K.ISSUE_API_KEY, **key(number))
    late = key(98, replaced_key_id="key_5", key_expires_at_ms=9000)
    assert shop.ask(K.ROTATE_API_KEY, **late) == R.TOO_MANY_KEYS
    assert shop.ask(K.ROTATE_API_KEY, **key(99, replaced_key_id="key_5")) is None
    assert len(shop.keys) == API_KEYS_MAX


def test_the_keys_of_a_registration_may_do_everything(shop: Shop) -> None:
    shop.ask(K.ROTATE_API_KEY, **key(1, key_scopes=[]))
    assert shop.keys["key_1"].scopes == list(ALL_SCOPES) == [s.value for s in Scope]


def test_producer_keys_come_and_go(shop: Shop) -> None:
    first = producer_key(1, key_label="till", key_expires_at_ms=9000)
    assert shop.ask(K.ADD_PRODUCER_KEY, **first) is None
    (made,) = shop.merchant.producer_keys
    assert (made.key_id, made.public_key, made.mode) == ("pkey_1", b"\x01" * 32, "live")
    assert (made.label, made.created_at_ms, made.expires_at_ms) == ("till", 1002, 9000)
    for again in ({"key_id": "pkey_2"}, {"public_key": b"\x02" * 32}):
        assert shop.ask(K.ADD_PRODUCER_KEY, **{**first, **again}) == R.ALREADY_EXISTS
    assert shop.ask(K.REMOVE_PRODUCER_KEY, key_id="pkey_1") is None
    assert shop.ask(K.REMOVE_PRODUCER_KEY, key_id="pkey_1") == R.NO_SUCH_KEY
    assert shop.merchant.producer_keys == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"public_key": None},
        {"public_key": b"x" * 31},
        {"key_id": None},
        {"key_mode": None},
        {"key_label": "x" * (LABEL_CHARACTERS_MAX + 1)},
        {"key_expires_at_ms": 1},
    ],
)
def test_a_producer_key_that_makes_no_sense_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    assert shop.ask(K.ADD_PRODUCER_KEY, **{**producer_key(1), **wrong}) == R.FIELD_INVALID


def test_producer_keys_are_bounded_for_each_mode(shop: Shop) -> None:
    for number in range(PRODUCER_KEYS_MAX):
        shop.ask(K.ADD_PRODUCER_KEY, **producer_key(number))
    assert shop.ask(K.ADD_PRODUCER_KEY, **producer_key(50)) == R.TOO_MANY_KEYS
    assert shop.ask(K.ADD_PRODUCER_KEY, **producer_key(50, "test")) is None


@pytest.mark.parametrize("before", MerchantStatus)
@pytest.mark.parametrize("after", MerchantStatus)
def test_a_status_changes_as_the_table_has_it(shop: Shop, before: str, after: str) -> None:
    if before != MerchantStatus.ACTIVE:
        shop.ask(K.SET_STATUS, status=before)
    right = (before, after) in STATUS_CHANGES
    assert shop.ask(K.SET_STATUS, status=after) == (None if right else R.WRONG_STATE)
    assert shop.merchant.status == (after if right else before)


def test_modes_and_limits_are_set(shop: Shop) -> None:
    assert shop.ask(K.SET_STATUS, status="gone") == R.FIELD_INVALID
    for wrong in ([], ["production"]):
        assert shop.ask(K.SET_MODES, modes=wrong) == R.FIELD_INVALID
    assert shop.ask(K.SET_MODES, modes=["live", "test"]) is None
    assert shop.merchant.modes == ["test", "live"]
    limits = {"payment_amount_minor_max": 5_00, "requests_per_second_max": 7}
    assert shop.ask(K.SET_LIMITS, **limits) is None
    merchant = shop.merchant
    assert (merchant.payment_amount_minor_max, merchant.requests_per_second_max) == (500, 7)
    assert merchant.request_burst_max is None
    for field_name in ("payment_amount_minor_max", "requests_per_second_max", "request_burst_max"):
        assert shop.ask(K.SET_LIMITS, **{field_name: 0}) == R.FIELD_INVALID
    assert shop.ask(K.SET_LIMITS, request_burst_max=REQUESTS_MAX + 1) == R.FIELD_INVALID
    assert shop.ask(K.SET_LIMITS) is None
    assert shop.merchant.payment_amount_minor_max is None


def test_the_state_survives_encoding_with_the_bytes_of_keys(shop: Shop) -> None:
    shop.ask(K.ADD_PRODUCER_KEY, **producer_key(200))
    shop.ask(K.ISSUE_API_KEY, **key(1))
    assert decode_merchant(encode_merchant(shop.state)) == shop.state


def test_a_merchant_of_the_release_before_may_do_what_it_could() -> None:
    old = next(c for c in registry.contracts().values() if (c.record, c.version) == ("merchant", 1))
    body = BytesIO()
    body.write(b"\0" + old.schema_id.to_bytes(4, "big"))
    fields = {
        "merchant_id": "mer_1",
        "version": 1,
        "name": "Shop",
        "status": "active",
        "registered_at_ms": 1,
        "updated_at_ms": 1,
        "bank_account": None,
        "payout_schedule": "daily",
        "fee_basis_points": 1,
        "fee_fixed_minor": 1,
        "api_keys": [{"key_id": "k", "mode": "live", "key_hash": "h", "expires_at_ms": None}],
        "endpoints": [
            {"endpoint_id": "we_1", "url": "u", "encrypted_secrets": ["s"], "enabled": True}
        ],
    }
    fastavro.schemaless_writer(body, old.parsed, fields)
    merchant = decode(Merchant, body.getvalue())
    assert merchant.api_keys == [ApiKey("k", "live", "h", None, list(ALL_SCOPES), "", 0)]
    assert (merchant.modes, merchant.producer_keys, merchant.endpoints[0].mode) == ([], [], None)
    assert merchant.payment_amount_minor_max is None
