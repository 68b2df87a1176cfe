"""Idempotency keys, preferences and bearer tokens as clients really send them."""

import pytest

from ingest_api.http.problems import ApiProblem
from ingest_api.http.request_headers import (
    actor_name,
    bearer_token,
    idempotency_key,
    justification,
    wait_seconds,
)


@pytest.mark.parametrize("value", ["a", "k" * 255, "order/17#2", "~!@", '"', '""'])
def test_idempotency_key_is_taken_as_it_is(value: str) -> None:
    assert idempotency_key([value]) == value


def test_a_quoted_key_is_the_key_within() -> None:
    assert idempotency_key(['"8e03978e"']) == "8e03978e"


def test_two_keys_are_refused() -> None:
    with pytest.raises(ApiProblem, match="must be there once"):
        idempotency_key(["a", "a"])


def test_the_audit_knows_who_and_why() -> None:
    assert (actor_name(None), justification(None)) == (None, None)
    assert actor_name("ada@bank.example") == "ada@bank.example"
    assert justification("lost laptop, ticket 17") == "lost laptop, ticket 17"
    for wrong in ("", "two words", "x" * 81, "\u00e9"):
        with pytest.raises(ApiProblem):
            actor_name(wrong)
    for wrong in ("", "line\nbreak", "x" * 501, "card 4242 4242 4242 4242"):
        with pytest.raises(ApiProblem):
            justification(wrong)


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
        idempotency_key([] if value is None else [value])
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


@pytest.mark.parametrize("name", ["4539578763621486", "card-4539578763621486"])
def test_no_actor_is_a_card_number(name: str) -> None:
    """It would stand in the audit for ever."""
    with pytest.raises(ApiProblem) as caught:
        actor_name(name)
    assert caught.value.problem.code == "card_number_in_clear"
