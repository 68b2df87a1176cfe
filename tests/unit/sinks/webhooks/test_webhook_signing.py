"""Signatures against the published vectors, and through the receivers' own library."""

import time

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError

from sinks.webhooks.signing import signed_headers

# Vectors of the standard-webhooks repository: the suite of seven languages, and the Rust library.
VECTORS = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]
SECRET = VECTORS[0][0]
OTHER = VECTORS[1][0]


@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "expected"), VECTORS)
def test_published_vectors(
    secret: str, message_id: str, timestamp: int, body: bytes, expected: str
) -> None:
    assert signed_headers(message_id, timestamp, body, [secret]) == {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": expected,
    }


@pytest.mark.parametrize("secret", [SECRET.removeprefix("whsec_"), SECRET.rstrip("=")])
def test_a_secret_without_prefix_or_padding_signs_the_same(secret: str) -> None:
    _, message_id, timestamp, body, expected = VECTORS[0]
    assert signed_headers(message_id, timestamp, body, [secret])["webhook-signature"] == expected


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_during_rotation_a_receiver_verifies_with_the_old_and_the_new_secret(secret: str) -> None:
    body = '{"reference":"Zoë, 日本"}'.encode()
    headers = signed_headers("pay_1-2", int(time.time()), body, [OTHER, SECRET])
    assert Webhook(secret).verify(body, headers) == {"reference": "Zoë, 日本"}


@pytest.mark.parametrize("change", ["body", "id", "age", "secret"])
def test_a_receiver_refuses_what_was_changed(change: str) -> None:
    now = int(time.time()) - (301 if change == "age" else 0)
    headers = signed_headers("pay_1-2", now, b"{}", [SECRET])
    body = b"{ }" if change == "body" else b"{}"
    if change == "id":
        headers["webhook-id"] = "pay_1-3"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER if change == "secret" else SECRET).verify(body, headers)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(EmptyWebhookSecretError):
        signed_headers("pay_1-2", 1, b"{}", ["whsec_"])


@pytest.mark.parametrize(("message_id", "secrets"), [("pay_1-2", []), ("pay.1", [SECRET])])
def test_no_secret_and_an_id_with_a_dot_are_refused(message_id: str, secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="needs a secret"):
        signed_headers(message_id, 1, b"{}", secrets)
