"""Standard Webhooks signatures: the headers of one attempt, signed with every current secret."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


def signed_headers(
    message_id: str, timestamp_seconds: int, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """The three headers; `body` are the very bytes that are sent.

    message_id stays the same over all attempts and must hold no dot. secrets: `whsec_…`, newest
    first; each gives one signature, so that a receiver may rotate at its own pace.
    Raises ValueError without a secret, and binascii.Error or standardwebhooks.webhooks.
    EmptyWebhookSecretError for one that is no key.
    """
    if not secrets or "." in message_id:
        raise ValueError("a webhook needs a secret, and an id without a dot")
    timestamp = datetime.fromtimestamp(timestamp_seconds, UTC)
    text = body.decode()
    signatures = [Webhook(secret).sign(message_id, timestamp, text) for secret in secrets]
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_seconds),
        SIGNATURE_HEADER: " ".join(signatures),
    }
