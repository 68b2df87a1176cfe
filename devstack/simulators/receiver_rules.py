"""What the simulated merchants' webhook receiver answers, by the beginning of the endpoint's name.

`ok-…` 200, `slow-…` 200 after a while, `fail3-…` 500 for the first 3 attempts of each webhook id,
`down-…` always 500, `gone-…` 410; any other endpoint is 404.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

Record = dict[str, Any]
FAILED_ATTEMPTS = 3
SECRETS_PER_ENDPOINT_MAX = 8
LOG_FIELDS = (
    "path",
    "webhook_id",
    "webhook_timestamp",
    "webhook_signature",
    "content_type",
    "body",
    "status",
    "verified",
    "attempt",
    "at_ms",
)


@dataclass
class Receiver:
    """All deliveries in order of arrival, attempts by (endpoint, webhook id), secrets."""

    deliveries: list[Record] = field(default_factory=list)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    secrets: dict[str, list[str]] = field(default_factory=dict)

    def apply(self, record: Record) -> None:
        """Fold one record of the journal."""
        if record["kind"] == "secret":
            known = self.secrets.setdefault(record["endpoint"], [])
            if record["secret"] not in known:
                known.append(record["secret"])
            del known[:-SECRETS_PER_ENDPOINT_MAX]
            return
        self.deliveries.append(record)
        self.attempts[record["endpoint"], record["webhook_id"]] += 1

    def decide(
        self, endpoint: str, headers: Mapping[str, str], body: bytes, *, at_ms: int
    ) -> Record:
        """The record of one delivery attempt."""
        webhook_id = headers.get("webhook-id", "")
        attempt = self.attempts[endpoint, webhook_id] + 1
        return {
            "kind": "delivery",
            "path": f"/hooks/{endpoint}",
            "endpoint": endpoint,
            "webhook_id": webhook_id,
            "webhook_timestamp": headers.get("webhook-timestamp", ""),
            "webhook_signature": headers.get("webhook-signature", ""),
            "content_type": headers.get("content-type", ""),
            "body": body.decode("utf-8", "replace"),
            "status": scripted_status(endpoint, attempt),
            "verified": self.verified(endpoint, headers, body),
            "attempt": attempt,
            "at_ms": at_ms,
        }

    def verified(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> bool | None:
        """Whether a registered secret signed it; None while no secret is registered."""
        secrets = self.secrets.get(endpoint)
        if not secrets:
            return None
        return any(signed_by(secret, headers, body) for secret in secrets)

    def log_lines(self) -> Iterator[Record]:
        """One line per attempt, oldest first."""
        for record in self.deliveries:
            yield {name: record[name] for name in LOG_FIELDS}

    def summary(self) -> Record:
        """Counts of attempts, and of distinct webhooks that got a 2xx."""
        delivered = {
            (line["endpoint"], line["webhook_id"])
            for line in self.deliveries
            if line["status"] == 200
        }
        verified = Counter(str(line["verified"]).lower() for line in self.deliveries)
        return {
            "attempts": len(self.deliveries),
            "webhooks": len(self.attempts),
            "delivered": len(delivered),
            "repeats": sum(count - 1 for count in self.attempts.values()),
            "by_status": Counter(str(line["status"]) for line in self.deliveries),
            "verified": verified,
        }


def scripted_status(endpoint: str, attempt: int) -> int:
    """HTTP status of an attempt (1, 2, 3…) at an endpoint."""
    match endpoint.split("-", 1)[0]:
        case "ok" | "slow":
            return 200
        case "fail3":
            return 500 if attempt <= FAILED_ATTEMPTS else 200
        case "down":
            return 500
        case "gone":
            return 410
    return 404


def signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the headers carry a fresh Standard Webhooks signature of the body."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True
