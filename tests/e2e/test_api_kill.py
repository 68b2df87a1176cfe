"""The API dies between Kafka's acknowledgement and its answer: a retry has one effect."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from api_process import (
    PAYMENT,
    RunningApi,
    Shop,
    create_topics,
    known_shop,
    running_api,
    stored_commands,
)
from polling import eventually
from redis import Redis

from schemas import ids

pytestmark = pytest.mark.services


def killed_before_its_answer(api: RunningApi, shop: Shop, bootstrap: str, key: str) -> str:
    """Sends a create that waits, kills the API once Kafka has the command; the payment's id."""
    payment_id = ids.payment_id(shop.merchant.merchant_id, "test", key)
    with ThreadPoolExecutor(1) as pool:
        headers = shop.headers(key, Prefer="wait=10")
        waiting = pool.submit(api.http.post, "/v1/payments", json=PAYMENT, headers=headers)
        eventually(lambda: stored_commands(bootstrap, payment_id), "the command is in Kafka")
        api.child.signal(signal.SIGKILL)
        with pytest.raises(httpx2.TransportError):
            waiting.result(20)
    return payment_id


@pytest.mark.parametrize("valkey_forgets", [False, True])
def test_a_retry_meets_the_first_request(
    kafka_broker: str, valkey_url: str, tmp_path: Path, valkey_forgets: bool
) -> None:
    create_topics(kafka_broker)
    key = f"order-{valkey_forgets}"
    with running_api(kafka_broker, valkey_url, tmp_path) as api:
        shop = known_shop(api, kafka_broker)
        payment_id = killed_before_its_answer(api, shop, kafka_broker, key)
    if valkey_forgets:
        with Redis.from_url(valkey_url) as valkey:
            valkey.flushdb()
    with running_api(kafka_broker, valkey_url, tmp_path) as api:
        answer = api.http.post("/v1/payments", json=PAYMENT, headers=shop.headers(key))
    assert answer.status_code == 202
    assert answer.json()["id"] == payment_id
    assert answer.headers.get("Idempotent-Replayed") == (None if valkey_forgets else "true")
    commands = [command for _, command in stored_commands(kafka_broker, payment_id)]
    assert len(commands) == 2
    assert len({(c.command_id, c.fingerprint) for c in commands}) == 1
    assert len({record.partition for record, _ in stored_commands(kafka_broker, payment_id)}) == 1
