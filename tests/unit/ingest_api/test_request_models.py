"""Strict bodies, and fingerprints that cover what was meant."""

import msgspec
import pytest

from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_models import (
    AddEndpoint,
    CapturePayment,
    ClosePayouts,
    CreatePayment,
    RefundPayment,
    RegisterMerchant,
)
from ingest_api.http.requests import decode_body
from schemas.ids import fingerprint

JWE = "eyJhbGciOiJFQ0RILUVTIn0..aXZpdml2.Y2lwaGVydGV4dA.dGFn"
OTHER_JWE = "eyJhbGciOiJFQ0RILUVTIn0..b3RoZXI.b3RoZXJ0ZXh0.b3RoZXI"
VALID = {"amount": 1999, "currency": "EUR", "card": JWE}


def decoded(document: object, kind: type = CreatePayment) -> object:
    return decode_body(msgspec.json.encode(document), kind)


def print_of(**changes: object) -> str:
    payment = decoded(VALID | changes)
    assert isinstance(payment, CreatePayment)
    return fingerprint(payment.fingerprint_fields())


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


def test_fingerprint_ignores_the_ciphertext_of_the_card() -> None:
    assert print_of() == print_of(card=OTHER_JWE)


def test_fingerprint_knows_defaults() -> None:
    assert print_of() == print_of(capture_method="automatic", reference=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 2000},
        {"currency": "USD"},
        {"capture_method": "manual"},
        {"capture_delay_seconds": 60},
        {"reference": "order 1"},
        {"return_url": "https://shop.example/back"},
    ],
)
def test_fingerprint_covers(changes: dict[str, object]) -> None:
    assert print_of() != print_of(**changes)


def test_fingerprints_of_other_commands_differ() -> None:
    meanings = [
        CapturePayment().fingerprint_fields(),
        CapturePayment(amount=5).fingerprint_fields(),
        CapturePayment(amount=5, final=True).fingerprint_fields(),
        RefundPayment().fingerprint_fields(),
        RefundPayment(amount=5).fingerprint_fields(),
    ]
    assert len({fingerprint(m) for m in meanings}) == len(meanings)


@pytest.mark.parametrize("url", ["ftp://shop.example/x", "https://", "//shop.example/", "x" * 9])
def test_webhook_urls_are_http(url: str) -> None:
    for kind, document in ((AddEndpoint, {"url": url}), (RegisterMerchant, {"webhook_url": url})):
        with pytest.raises(ApiProblem):
            decoded({"name": "Shop", **document} if kind is RegisterMerchant else document, kind)


def test_payout_currency_is_known() -> None:
    assert decoded({"currency": "JPY"}, ClosePayouts) == ClosePayouts(currency="JPY")
    with pytest.raises(ApiProblem):
        decoded({"currency": "ZZZ"}, ClosePayouts)
