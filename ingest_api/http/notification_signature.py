"""Who may say what became of an operation: the card network, by a shared secret."""

import hmac
from datetime import UTC, datetime

from standardwebhooks import Webhook

from ingest_api.http.problems import ApiProblem
from runtime.clock import now_ms

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
_NOT_SIGNED = (
    "The card network's signature is missing or not valid. Sign the body with the shared secret."
)


class NotificationGuard:
    """Checks signatures of the Standard Webhooks form: HMAC-SHA256 over id, time and body.

    `secret` is base64 (with or without `whsec_`), as in NETWORK_NOTIFICATION_SECRET; without one
    every notification is refused.
    """

    def __init__(self, secret: str, age_seconds_max: int) -> None:
        self._webhook = Webhook(secret) if secret else None
        self._age_seconds_max = age_seconds_max

    def check(self, message_id: str, timestamp: str, signatures: str, *, body: bytes) -> None:
        """Raises ApiProblem (401): unsigned, wrongly signed, or too old to be believed."""
        if self._webhook is None or not message_id or not self._is_of_now(timestamp):
            raise ApiProblem("unauthenticated", _NOT_SIGNED)
        at = datetime.fromtimestamp(int(timestamp), UTC)
        wanted = self._webhook.sign(message_id, at, body.decode("utf-8", "replace"))
        sent = signatures.encode().split(b" ")
        if not any(hmac.compare_digest(one, wanted.encode()) for one in sent):
            raise ApiProblem("unauthenticated", _NOT_SIGNED)

    def _is_of_now(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            return False
        return abs(int(timestamp) - now_ms() // 1000) <= self._age_seconds_max
