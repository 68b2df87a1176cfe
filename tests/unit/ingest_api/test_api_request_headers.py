"""Idempotency keys, preferences and bearer tokens as clients really send them."""

import pytest

from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_headers import bearer_token, idempotency_key, wait_seconds


@pytest.mark.parametrize("value", ["a", "k" * 255, '"8e03978e"', "order/17#2", "~!@"])
def test_idempotency_key_is_taken_as_it_is(value: str) -> None:
    assert idempotency_key(value) == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_missing"),
        ("k" * 256, "invalid_request"),
        ("two words", "invalid_request"),
        ("schlüssel", "invalid_request"),
        ("tab\t", "invalid_request"),
        ("pay-4242424242424242", "card_number_in_clear"),
    ],
)
def test_bad_idempotency_key(value: str | None, code: str) -> None:
    with pytest.raises(ApiProblem) as caught:
        idempotency_key(value)
    assert caught.value.problem.code == code
    assert "4242" not in str(caught.value.body())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0),
        (["wait=5"], 5),
        (["wait=99"], 10),
        (["Wait = 3"], 3),
        (['wait="4"'], 4),
        (["respond-async, wait=2"], 2),
        (["respond-async", "wait=2"], 2),
        (["wait=1, wait=7"], 1),
        (["wait=6; x=y"], 6),
        (["wait"], 0),
        (["wait=-1"], 0),
        (["wait=1e9"], 0),
        (["wait=soon"], 0),
        (["waiting=5"], 0),
        (["return=minimal"], 0),
    ],
)
def test_wait_preference(values: list[str], expected: float) -> None:
    assert wait_seconds(values, 10) == expected


def test_bearer_token() -> None:
    assert bearer_token("Bearer sk_test_abcdefgh") == "sk_test_abcdefgh"
    assert bearer_token("bearer  sk_test_abcdefgh") == "sk_test_abcdefgh"


@pytest.mark.parametrize("value", [None, "", "Basic abcdefgh", "Bearer", "Bearer a b", "Bearer x"])
def test_no_bearer_token(value: str | None) -> None:
    with pytest.raises(ApiProblem) as caught:
        bearer_token(value)
    assert caught.value.problem.status == 401
    assert "WWW-Authenticate" in caught.value.headers
