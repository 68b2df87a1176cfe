"""What can be asked of a merchant's registration, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.enums import MerchantCommandKind as K
from schemas.enums import MerchantEventType as E
from schemas.enums import RejectionReason as R
from schemas.ids import event_id
from schemas.merchant_bounds import API_KEYS_MAX, ENDPOINTS_MAX
from schemas.money import AMOUNT_MINOR_MAX
from schemas.records import Merchant, MerchantCommand, MerchantEvent
from streams.agents.merchants import decode_merchant, encode_merchant
from streams.domain.merchants import (
    COMMANDS_REMEMBERED_MAX,
    MerchantPolicy,
    MerchantState,
    decide_merchant,
)


class Shop:
    """One merchant, command by command."""

    def __init__(self) -> None:
        self.state: MerchantState | None = None
        self.now_ms = 1000
        self.last: MerchantCommand | None = None
        self.reason: str | None = None
        self.event: MerchantEvent | None = None
        self.applied = False

    def tell(self, kind: str, **fields: Any) -> str | None:
        """Type of the event; None for a repeat."""
        self.now_ms += 1
        defaults = {"command_id": f"cmd_{self.now_ms}", "fingerprint": "f", "source": "api"}
        command = MerchantCommand(
            merchant_id="mer_1", kind=kind, issued_at_ms=self.now_ms, **{**defaults, **fields}
        )
        return self.send(command)

    def send(self, command: MerchantCommand) -> str | None:
        decision = decide_merchant(self.state, command, MerchantPolicy())
        self.state, self.last = decision.state, command
        self.event, self.applied = decision.event, decision.applied
        self.reason = decision.event.reason if decision.event else None
        return decision.event.type if decision.event else None

    @property
    def merchant(self) -> Merchant:
        assert self.state is not None
        assert self.state.merchant is not None
        return self.state.merchant


@pytest.fixture
def shop() -> Shop:
    """A merchant that is registered."""
    made = Shop()
    assert made.tell(K.REGISTER, name="Shop") == E.REGISTERED
    return made


def test_registration_takes_the_defaults_and_what_is_asked_for() -> None:
    shop = Shop()
    fields = {"fee_basis_points": 90, "bank_account": "DE1", "payout_schedule": "manual"}
    shop.tell(K.REGISTER, name="Shop", **fields)
    merchant = shop.merchant
    assert (merchant.name, merchant.status, merchant.version) == ("Shop", "active", 1)
    assert (merchant.fee_basis_points, merchant.fee_fixed_minor) == (90, 25)
    assert (merchant.bank_account, merchant.payout_schedule) == ("DE1", "manual")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "x", "fee_basis_points": 10_001},
        {"name": "x", "fee_fixed_minor": -1},
        {"name": "x", "payout_schedule": "hourly"},
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    shop = Shop()
    assert shop.tell(K.REGISTER, **fields) == E.COMMAND_REJECTED
    assert shop.reason == R.FIELD_INVALID
    assert shop.tell(K.REGISTER, name="right") == E.REGISTERED
    assert shop.merchant.version == 2


def test_repeats_other_bodies_and_second_registrations(shop: Shop) -> None:
    first = shop.last
    assert first is not None
    assert shop.send(first) is None
    assert shop.tell(K.REGISTER, name="Other", command_id=first.command_id, fingerprint="g")
    assert shop.reason == R.IDEMPOTENCY_MISMATCH
    shop.tell(K.REGISTER, name="Other")
    assert (shop.reason, shop.merchant.name) == (R.ALREADY_EXISTS, "Shop")


def test_nothing_can_be_asked_of_an_unknown_merchant() -> None:
    shop = Shop()
    assert shop.tell(K.SET_FEES, fee_basis_points=1) == E.COMMAND_REJECTED
    assert shop.reason == R.NO_SUCH_MERCHANT
    assert shop.tell("dance") == E.COMMAND_REJECTED
    assert shop.reason == R.UNKNOWN_KIND


def key(number: int, mode: str = "test", **more: Any) -> dict[str, Any]:
    return {"key_id": f"key_{number}", "key_hash": f"hash_{number}", "key_mode": mode, **more}


def test_a_rotated_key_ends_the_older_ones_of_its_mode(shop: Shop) -> None:
    shop.tell(K.ROTATE_API_KEY, **key(1))
    shop.tell(K.ROTATE_API_KEY, **key(2, "live"))
    assert shop.tell(K.ROTATE_API_KEY, **key(3, key_expires_at_ms=9000)) == E.API_KEY_ROTATED
    ends = {k.key_id: k.expires_at_ms for k in shop.merchant.api_keys}
    assert ends == {"key_1": 9000, "key_2": None, "key_3": None}
    shop.tell(K.ROTATE_API_KEY, **key(4))
    assert {k.key_id for k in shop.merchant.api_keys} == {"key_2", "key_4"}


def test_keys_that_are_refused(shop: Shop) -> None:
    shop.tell(K.ROTATE_API_KEY, **key(1))
    shop.tell(K.ROTATE_API_KEY, **key(1))
    assert shop.reason == R.ALREADY_EXISTS
    shop.tell(K.ROTATE_API_KEY, **key(2, "production"))
    assert shop.reason == R.FIELD_INVALID


def endpoint(number: int) -> dict[str, Any]:
    return {
        "endpoint_id": f"we_{number}",
        "endpoint_url": f"https://shop.example/{number}",
        "encrypted_secret": f"sealed_{number}",
    }


def test_endpoints_come_rotate_their_secret_and_go(shop: Shop) -> None:
    assert shop.tell(K.ADD_ENDPOINT, **endpoint(1)) == E.ENDPOINT_ADDED
    for name in ("b", "c"):
        shop.tell(K.ROTATE_SECRET, endpoint_id="we_1", encrypted_secret=name)
    assert shop.merchant.endpoints[0].encrypted_secrets == ["c", "b"]
    assert shop.tell(K.REMOVE_ENDPOINT, endpoint_id="we_1") == E.ENDPOINT_REMOVED
    assert [e.enabled for e in shop.merchant.endpoints] == [False]
    shop.tell(K.REMOVE_ENDPOINT, endpoint_id="we_1")
    assert shop.reason == R.NO_SUCH_ENDPOINT


def test_endpoints_are_bounded_and_removed_ones_make_room(shop: Shop) -> None:
    for number in range(ENDPOINTS_MAX):
        shop.tell(K.ADD_ENDPOINT, **endpoint(number))
    shop.tell(K.ADD_ENDPOINT, **endpoint(99))
    assert shop.reason == R.TOO_MANY_ENDPOINTS
    shop.tell(K.REMOVE_ENDPOINT, endpoint_id="we_0")
    assert shop.tell(K.ADD_ENDPOINT, **endpoint(99)) == E.ENDPOINT_ADDED
    assert len(shop.merchant.endpoints) == ENDPOINTS_MAX


def test_fees_and_payouts_are_set(shop: Shop) -> None:
    assert shop.tell(K.SET_FEES, fee_basis_points=10, fee_fixed_minor=0) == E.FEES_SET
    assert shop.tell(K.SET_PAYOUTS, bank_account="DE2", payout_schedule="manual") == E.PAYOUTS_SET
    merchant = shop.merchant
    assert (merchant.fee_basis_points, merchant.fee_fixed_minor) == (10, 0)
    assert (merchant.bank_account, merchant.payout_schedule) == ("DE2", "manual")
    assert (merchant.version, merchant.registered_at_ms) == (3, 1001)


def test_the_memory_is_bounded_and_survives_encoding(shop: Shop) -> None:
    for _ in range(COMMANDS_REMEMBERED_MAX + 10):
        shop.tell(K.SET_FEES, fee_basis_points=10)
    assert shop.state is not None
    assert len(shop.state.commands) == COMMANDS_REMEMBERED_MAX
    assert decode_merchant(encode_merchant(shop.state)) == shop.state


def test_the_event_says_who_did_what_when(shop: Shop) -> None:
    fields = {"endpoint_url": "https://shop.example", "encrypted_secret": "s", "source": "operator"}
    shop.tell(K.ADD_ENDPOINT, endpoint_id="we_1", command_id="cmd_a", fingerprint="g", **fields)
    assert shop.event == MerchantEvent(
        event_id=event_id("mer_1", 2),
        merchant_id="mer_1",
        sequence=2,
        type=E.ENDPOINT_ADDED,
        command_id="cmd_a",
        fingerprint="g",
        occurred_at_ms=1002,
        source="operator",
        endpoint_id="we_1",
    )
    assert shop.applied
    shop.tell(K.ROTATE_API_KEY, **key(1))
    assert (shop.event.key_id, shop.event.endpoint_id) == ("key_1", None)


def test_a_refusal_is_an_event_too_and_changes_nothing(shop: Shop) -> None:
    before = shop.merchant
    shop.tell(K.SET_FEES, fee_fixed_minor=-1, command_id="cmd_a", fingerprint="g")
    assert shop.event == MerchantEvent(
        event_id=event_id("mer_1", 2),
        merchant_id="mer_1",
        sequence=2,
        type=E.COMMAND_REJECTED,
        command_id="cmd_a",
        fingerprint="g",
        occurred_at_ms=1002,
        source="api",
        reason=R.FIELD_INVALID,
    )
    assert (shop.applied, shop.merchant) == (False, before)
    assert shop.state is not None
    seen = shop.state.commands[-1]
    assert (seen.command_id, seen.fingerprint, seen.reason) == ("cmd_a", "g", R.FIELD_INVALID)


def test_the_record_says_when_it_was_registered_and_changed(shop: Shop) -> None:
    merchant = shop.merchant
    assert (merchant.registered_at_ms, merchant.updated_at_ms) == (1001, 1001)
    shop.tell(K.SET_FEES, fee_basis_points=1)
    assert (shop.merchant.registered_at_ms, shop.merchant.updated_at_ms) == (1001, 1002)


@pytest.mark.parametrize("basis_points", [0, 10_000])
@pytest.mark.parametrize("fixed_minor", [0, AMOUNT_MINOR_MAX])
def test_fees_reach_from_nothing_to_everything(
    shop: Shop, basis_points: int, fixed_minor: int
) -> None:
    fees = {"fee_basis_points": basis_points, "fee_fixed_minor": fixed_minor}
    assert shop.tell(K.SET_FEES, **fees) == E.FEES_SET
    assert (shop.merchant.fee_basis_points, shop.merchant.fee_fixed_minor) == tuple(fees.values())


@pytest.mark.parametrize(
    "fees",
    [
        {"fee_basis_points": -1},
        {"fee_basis_points": 10_001},
        {"fee_fixed_minor": -1},
        {"fee_fixed_minor": AMOUNT_MINOR_MAX + 1},
    ],
)
def test_fees_beyond_that_are_refused(shop: Shop, fees: dict[str, int]) -> None:
    assert shop.tell(K.SET_FEES, **fees) == E.COMMAND_REJECTED
    assert shop.reason == R.FIELD_INVALID


def test_one_fee_is_set_and_the_other_stays(shop: Shop) -> None:
    shop.tell(K.SET_FEES, fee_basis_points=7)
    shop.tell(K.SET_FEES, fee_fixed_minor=9)
    assert (shop.merchant.fee_basis_points, shop.merchant.fee_fixed_minor) == (7, 9)


def test_a_new_schedule_leaves_the_bank_account_and_the_other_way_round(shop: Shop) -> None:
    shop.tell(K.SET_PAYOUTS, bank_account="DE2")
    assert shop.merchant.payout_schedule == "daily"
    shop.tell(K.SET_PAYOUTS, payout_schedule="manual")
    assert (shop.merchant.bank_account, shop.merchant.payout_schedule) == ("DE2", "manual")
    assert shop.tell(K.SET_PAYOUTS, payout_schedule="hourly") == E.COMMAND_REJECTED
    assert shop.reason == R.FIELD_INVALID


@pytest.mark.parametrize("missing", ["key_id", "key_hash", "key_mode"])
def test_a_key_lacks_nothing(shop: Shop, missing: str) -> None:
    assert shop.tell(K.ROTATE_API_KEY, **{**key(1), missing: None}) == E.COMMAND_REJECTED
    assert (shop.reason, shop.merchant.api_keys) == (R.FIELD_INVALID, [])


def test_a_key_keeps_its_hash_and_neither_id_nor_hash_comes_twice(shop: Shop) -> None:
    shop.tell(K.ROTATE_API_KEY, **key(1))
    (only,) = shop.merchant.api_keys
    assert (only.key_id, only.key_hash, only.mode) == ("key_1", "hash_1", "test")
    for again in ({"key_id": "key_2"}, {"key_hash": "hash_2"}, {"key_mode": "live"}):
        shop.tell(K.ROTATE_API_KEY, **{**key(1), **again})
        assert (shop.reason, shop.merchant.api_keys) == (R.ALREADY_EXISTS, [only])


def test_a_key_that_ends_gets_no_more_time_from_the_next_rotation(shop: Shop) -> None:
    shop.tell(K.ROTATE_API_KEY, **key(1))
    shop.tell(K.ROTATE_API_KEY, **key(2, key_expires_at_ms=2000))
    shop.tell(K.ROTATE_API_KEY, **key(3, key_expires_at_ms=5000))
    ends = {k.key_id: k.expires_at_ms for k in shop.merchant.api_keys}
    assert ends == {"key_1": 2000, "key_2": 5000, "key_3": None}


def test_a_key_is_over_at_its_end_not_after_it(shop: Shop) -> None:
    shop.tell(K.ROTATE_API_KEY, **key(1))
    shop.tell(K.ROTATE_API_KEY, **key(2, key_expires_at_ms=1004))
    assert len(shop.merchant.api_keys) == 2
    shop.tell(K.ROTATE_API_KEY, **key(3, key_expires_at_ms=9000))
    assert [k.key_id for k in shop.merchant.api_keys] == ["key_2", "key_3"]


def test_the_newest_keys_of_a_mode_stay(shop: Shop) -> None:
    shop.tell(K.ROTATE_API_KEY, **key(0, "live"))
    for number in range(1, API_KEYS_MAX + 3):
        shop.tell(K.ROTATE_API_KEY, **key(number, key_expires_at_ms=9000))
    assert [k.key_id for k in shop.merchant.api_keys] == [
        "key_0",
        *(f"key_{number}" for number in range(3, API_KEYS_MAX + 3)),
    ]


@pytest.mark.parametrize("missing", ["endpoint_id", "endpoint_url", "encrypted_secret"])
def test_an_endpoint_lacks_nothing(shop: Shop, missing: str) -> None:
    assert shop.tell(K.ADD_ENDPOINT, **{**endpoint(1), missing: None}) == E.COMMAND_REJECTED
    assert (shop.reason, shop.merchant.endpoints) == (R.FIELD_INVALID, [])


def test_an_endpoint_is_kept_as_it_was_given_and_comes_once(shop: Shop) -> None:
    shop.tell(K.ADD_ENDPOINT, **endpoint(1))
    shop.tell(K.ADD_ENDPOINT, **endpoint(2))
    one, two = shop.merchant.endpoints
    assert (one.endpoint_id, one.url) == ("we_1", "https://shop.example/1")
    assert (one.encrypted_secrets, one.enabled) == (["sealed_1"], True)
    shop.tell(K.ADD_ENDPOINT, **endpoint(1))
    assert (shop.reason, shop.merchant.endpoints) == (R.ALREADY_EXISTS, [one, two])


def test_only_the_endpoint_that_is_named_changes(shop: Shop) -> None:
    for number in (1, 2, 3):
        shop.tell(K.ADD_ENDPOINT, **endpoint(number))
    shop.tell(K.REMOVE_ENDPOINT, endpoint_id="we_2")
    shop.tell(K.ROTATE_SECRET, endpoint_id="we_3", encrypted_secret="new")
    assert [e.enabled for e in shop.merchant.endpoints] == [True, False, True]
    assert [len(e.encrypted_secrets) for e in shop.merchant.endpoints] == [1, 1, 2]
    for kind in (K.ROTATE_SECRET, K.REMOVE_ENDPOINT):
        shop.tell(kind, endpoint_id="we_2", encrypted_secret="new")
        assert shop.reason == R.NO_SUCH_ENDPOINT
    shop.tell(K.ROTATE_SECRET, endpoint_id="we_1")
    assert shop.reason == R.FIELD_INVALID
