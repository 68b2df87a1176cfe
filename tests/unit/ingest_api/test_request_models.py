"""Strict bodies."""

import msgspec
import pytest

from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_models import (
    AddEndpoint,
    ClosePayouts,
    CreatePayment,
    RegisterMerchant,
)
from ingest_api.http.requests import decode_body

JWE = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9..aXZpdml2.Y2lwaGVydGV4dA.dGFn"
VALID = {"amount": 1999, "currency": "EUR", "card": JWE}


def decoded(document: object, kind: type = CreatePayment) -> object:
    return decode_body(msgspec.json.encode(document), kind)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": -5}, "/amount"),
        ({"amount": 10**15 + 1}, "/amount"),
        ({"amount": "1999"}, "/amount"),
        ({"amount": 19.99}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"amount": None}, "/amount"),
        ({"currency": "eur"}, "/currency"),
        ({"currency": "EURO"}, "/currency"),
        ({"currency": "XTS"}, "/currency"),
        ({"card": "4242"}, "/card"),
        ({"card": "a.b.c.d.e" * 3}, "/card"),
        ({"capture_method": "later"}, "/capture_method"),
        ({"capture_delay_seconds": -1}, "/capture_delay_seconds"),
        ({"capture_delay_seconds": 8 * 86_400}, "/capture_delay_seconds"),
        ({"reference": ""}, "/reference"),
        ({"reference": "x" * 256}, "/reference"),
        ({"return_url": "javascript:alert(1)"}, "/return_url"),
        ({"return_url": "https://user@shop.example/"}, "/return_url"),
        ({"colour": "blue"}, ""),
    ],
)
def test_create_refuses(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        decoded(VALID | changes)
    assert caught.value.problem.code == "invalid_request"
    assert caught.value.errors[0].pointer == pointer


@pytest.mark.parametrize("field", ["amount", "currency", "card"])
def test_create_needs(field: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        decoded({k: v for k, v in VALID.items() if k != field})
    assert field in caught.value.detail


@pytest.mark.parametrize("amount", [1, 10**15])
def test_bounds_of_the_amount_are_allowed(amount: int) -> None:
    assert isinstance(decoded(VALID | {"amount": amount}), CreatePayment)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000, b"null", b'{"amount":1}x']
)
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(ApiProblem) as caught:
        decode_body(body, CreatePayment)
    assert caught.value.problem.code == "invalid_request"


def test_card_number_comes_first_and_is_never_repeated() -> None:
    for document in ({"4242424242424242": 1}, VALID | {"reference": "4242 4242 4242 4242"}):
        with pytest.raises(ApiProblem) as caught:
            decoded(document)
        assert caught.value.problem.code == "card_number_in_clear"
        assert "4242" not in msgspec.json.encode(caught.value.body()).decode()


@pytest.mark.parametrize("url", ["ftp://shop.example/x", "https://", "//shop.example/", "x" * 9])
def test_webhook_urls_are_http(url: str) -> None:
    for kind, document in ((AddEndpoint, {"url": url}), (RegisterMerchant, {"webhook_url": url})):
        with pytest.raises(ApiProblem):
            decoded({"name": "Shop", **document} if kind is RegisterMerchant else document, kind)


def test_payout_currency_is_known() -> None:
    assert decoded({"currency": "JPY"}, ClosePayouts) == ClosePayouts(currency="JPY")
    with pytest.raises(ApiProblem):
        decoded({"currency": "ZZZ"}, ClosePayouts)
