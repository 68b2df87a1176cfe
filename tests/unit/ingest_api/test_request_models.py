"""Strict bodies."""

import msgspec
import pytest

from ingest_api.http.key_models import AddProducerKey, ChangeMerchant
from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_bodies import check_media_type, decode_body
from ingest_api.http.request_models import (
    AddEndpoint,
    CapturePayment,
    ClosePayouts,
    CreatePayment,
    RefundPayment,
    RegisterMerchant,
)

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
        ({"capture_delay_seconds": 7 * 86_400}, "/capture_delay_seconds"),
        ({"capture_delay_seconds": 6 * 86_400 + 1}, "/capture_delay_seconds"),
        ({"reference": ""}, "/reference"),
        ({"reference": "x" * 256}, "/reference"),
        ({"return_url": "javascript:alert(1)"}, "/return_url"),
        ({"return_url": "https://user@shop.example/"}, "/return_url"),
        ({"return_url": "http://10.0.0.1/"}, "/return_url"),
        ({"return_url": "https://shop.example/\r\nx"}, "/return_url"),
        ({"reference": "a\x00b"}, "/reference"),
        ({"colour": "blue"}, "/colour"),
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


@pytest.mark.parametrize("kind", [RefundPayment, CapturePayment])
def test_null_is_no_amount(kind: type) -> None:
    with pytest.raises(ApiProblem) as caught:
        decoded({"amount": None}, kind)
    assert caught.value.errors[0].pointer == "/amount"
    assert decoded({}, kind) == kind()


@pytest.mark.parametrize("field", ["currency", "mode", "merchant_id"])
def test_null_does_not_pay_out_everything(field: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        decoded({field: None}, ClosePayouts)
    assert caught.value.errors[0].pointer == f"/{field}"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"amount": 1e400}', "/amount"),
        (b'{"amount": 1, "amount": 900}', "/amount"),
        (b'{"limits": {"requests": 1}}', "/limits/requests"),
        (b'{"a/b~": 1}', "/a~1b~0"),
    ],
)
def test_the_pointer_is_one_of_the_body(body: bytes, pointer: str) -> None:
    kind = ChangeMerchant if b"limits" in body else CreatePayment
    with pytest.raises(ApiProblem) as caught:
        decode_body(body, kind)
    assert caught.value.errors[0].pointer == pointer


def test_long_numbers_are_amounts_not_cards() -> None:
    wanted = decode_body(b'{"amount": 378282246310005}', RefundPayment)
    assert wanted.amount_minor == 378282246310005


@pytest.mark.parametrize(
    "public_key",
    ["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"],
)
def test_a_public_key_is_base64_with_either_alphabet(public_key: str) -> None:
    asked = decoded({"public_key": public_key}, AddProducerKey)
    assert isinstance(asked, AddProducerKey)
    assert asked.key_bytes().hex().startswith("d75a980182b10ab7")


@pytest.mark.parametrize("public_key", ["", "x" * 42, "x" * 45, "!" * 44, "A" * 42 + "=="])
def test_what_is_no_public_key(public_key: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        decoded({"public_key": public_key}, AddProducerKey)
    assert caught.value.errors[0].pointer == "/public_key"


@pytest.mark.parametrize(
    "types",
    [
        ["application/json"],
        ["application/json; charset=utf-8"],
        ['Application/JSON;charset="UTF-8"'],
        ["application/problem+json"],
    ],
)
def test_json_is_taken(types: list[str]) -> None:
    check_media_type(types, {})


@pytest.mark.parametrize(
    "types",
    [
        [],
        ["text/xml"],
        ["application/json; charset=utf-16"],
        ["application/x-www-form-urlencoded"],
        ["application/json", "text/xml"],
    ],
)
def test_other_media_types_are_refused(types: list[str]) -> None:
    with pytest.raises(ApiProblem) as caught:
        check_media_type(types, {})
    assert caught.value.problem.status == 415


def test_compressed_bodies_are_refused() -> None:
    with pytest.raises(ApiProblem) as caught:
        check_media_type(["application/json"], {"content-encoding": "gzip"})
    assert caught.value.problem.status == 415
    check_media_type(["application/json"], {"content-encoding": "identity"})
