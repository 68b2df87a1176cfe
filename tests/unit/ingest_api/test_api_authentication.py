"""Who a bearer token belongs to, also when the merchants are not read yet."""

import msgspec
import pytest

from ingest_api.http.authentication import OPERATOR, Authenticator
from ingest_api.http.problems import ApiProblem
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import MerchantRegistry, key_hash
from schemas.codec import encode
from schemas.records import ApiKey, Merchant


class FullRegistry(MerchantRegistry):
    """One that has read an empty topic to its end."""

    @property
    def ready(self) -> bool:
        return True


def test_a_key_that_is_not_known_yet_is_no_wrong_key() -> None:
    starting = Authenticator(MerchantRegistry(KafkaConnection("127.0.0.1:9")), "operator")
    with pytest.raises(ApiProblem) as raised:
        starting.identify("sk_test_of_somebody")
    assert (raised.value.problem.code, raised.value.problem.status) == ("starting", 503)
    assert raised.value.headers["Retry-After"] == "1"


def test_an_unknown_key_is_refused_once_all_merchants_are_read() -> None:
    ready = Authenticator(FullRegistry(KafkaConnection("127.0.0.1:9")), "operator")
    with pytest.raises(ApiProblem) as raised:
        ready.identify("sk_test_of_nobody")
    assert raised.value.problem.status == 401


def test_the_operator_needs_no_registry() -> None:
    starting = Authenticator(MerchantRegistry(KafkaConnection("127.0.0.1:9")), "operator")
    assert starting.identify("operator") is OPERATOR


def shop_with(*scopes: str, **changes: object) -> Authenticator:
    """An authenticator that knows the key `sk_test_x`."""
    registry = FullRegistry(KafkaConnection("127.0.0.1:9"))
    merchant = Merchant(
        merchant_id="mer_1",
        version=1,
        name="Shop",
        status="active",
        registered_at_ms=1,
        updated_at_ms=1,
        payout_schedule="daily",
        fee_basis_points=1,
        fee_fixed_minor=1,
        api_keys=[ApiKey("key_1", "test", key_hash("sk_test_x"), scopes=list(scopes))],
    )
    registry._apply(b"mer_1", encode(msgspec.structs.replace(merchant, **changes)))
    return Authenticator(registry, "operator")


def test_a_missing_scope_is_named() -> None:
    caller = shop_with("read", "write").identify("sk_test_x")
    caller.require_scopes("read", "write")
    with pytest.raises(ApiProblem) as raised:
        caller.require_scopes("read", "refunds")
    assert (raised.value.problem.code, raised.value.problem.status) == ("scope_missing", 403)
    assert "refunds" in raised.value.detail
    OPERATOR.require_scopes("refunds")


@pytest.mark.parametrize(
    "changes", [{"status": "suspended"}, {"status": "closed"}, {"modes": ["live"]}]
)
def test_what_a_merchant_may_not_use(changes: dict[str, object]) -> None:
    with pytest.raises(ApiProblem) as raised:
        shop_with("read", **changes).identify("sk_test_x")
    assert (raised.value.problem.code, raised.value.problem.status) == ("forbidden", 403)
