"""Who a bearer token belongs to, also when the merchants are not read yet."""

import pytest

from ingest_api.http.authentication import OPERATOR, Authenticator
from ingest_api.http.problems import ApiProblem
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import MerchantRegistry


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
