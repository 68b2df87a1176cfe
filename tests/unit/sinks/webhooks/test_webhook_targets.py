"""Where a webhook may go, and what an response means."""

import asyncio
import socket
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.enums import AttemptResult
from schemas.urls import TargetRules, address_error
from sinks.webhooks import http_sender, targets
from sinks.webhooks.http_sender import DeliveryResponse, WebhookSender, retry_after_seconds
from sinks.webhooks.settings import WebhookSettings
from sinks.webhooks.targets import ForbiddenTarget, GuardedResolver, Unresolvable, guarded_socket

STRICT = TargetRules()
DEVELOPMENT = TargetRules(allow_loopback=True)
INSIDE = TargetRules(allow_private_addresses=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_addresses_that_only_we_can_reach_are_refused(address: str) -> None:
    assert address_error(address, STRICT)


def test_public_addresses_are_allowed_and_others_by_setting() -> None:
    assert address_error("93.184.216.34", STRICT) is None
    assert address_error("2606:4700:4700::1111", STRICT) is None
    assert address_error("127.0.0.1", DEVELOPMENT) is None
    assert address_error("10.0.0.1", DEVELOPMENT)
    assert address_error("10.0.0.1", INSIDE) is None
    assert address_error("127.0.0.1", INSIDE)
    assert address_error("0.0.0.0", INSIDE)


async def resolved(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    async def found(host: str, port: int) -> list[str]:
        return addresses

    monkeypatch.setattr(targets, "_resolve", found)
    return [each["host"] for each in await GuardedResolver(STRICT).resolve("shop.example", 443)]


async def test_a_name_with_one_forbidden_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public = ["93.184.216.34", "2606:4700:4700::1111"]
    assert await resolved(public, monkeypatch) == public
    with pytest.raises(ForbiddenTarget, match="not a public"):
        await resolved([*public, "10.0.0.1"], monkeypatch)


def test_a_socket_to_a_forbidden_address_is_not_made() -> None:
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", 443))
    with pytest.raises(ForbiddenTarget, match="not a public"):
        guarded_socket(STRICT)(address)
    guarded_socket(INSIDE)(address).close()


@pytest.mark.parametrize("url", ["https://shop.example/latest", "https://169.254.169.254/latest"])
async def test_the_client_connects_through_the_check(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the check of the URL would have let it pass."""
    sender = WebhookSender(WebhookSettings())

    async def inside(host: str, port: int) -> list[str]:
        return ["169.254.169.254"]

    monkeypatch.setattr(targets, "_resolve", inside)
    monkeypatch.setattr(http_sender, "url_error", lambda *_: None)
    try:
        async with asyncio.timeout(5):
            response = await sender.send(url, {}, b"{}")
    finally:
        await sender.close()
    assert response.result == AttemptResult.FAILED
    assert "not a public address" in (response.error or "")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (301, "failed"),
        (404, "failed"),
        (410, "exhausted"),
        (429, "failed"),
        (500, "failed"),
        (None, "failed"),
    ],
)
def test_what_a_status_means(status: int | None, expected: str) -> None:
    assert DeliveryResponse(status, None).result == expected


def test_retry_after_is_seconds_or_a_date() -> None:
    later = format_datetime(datetime.fromtimestamp(1_000_090, UTC), usegmt=True)
    assert retry_after_seconds("120", 0) == 120
    assert retry_after_seconds(later, 1_000_000) == 90
    assert retry_after_seconds(later, 2_000_000) == 0
    assert retry_after_seconds("9" * 5000, 0) == 999_999_999
    assert retry_after_seconds("soon", 0) is None
    assert retry_after_seconds(None, 0) is None


@pytest.mark.parametrize(
    "text",
    [
        "Sat, 01 Jan 100000000000000000000 00:00:00 GMT",
        "Sat, 01 Jan 2026 00:00:00 +999999999999",
        "Sat, 99 Jan 2026 99:99:99 GMT",
        "-1",
        "+5",
        "1e9",
        "\u0663\u0664",
        "\xb2",
        "",
        ",",
        "x" * 60_000,
    ],
)
def test_no_retry_after_is_an_exception(text: str) -> None:
    assert retry_after_seconds(text, 1_000_000) in (None, 0)


@given(st.text(max_size=60))
def test_any_retry_after_is_bounded(text: str) -> None:
    found = retry_after_seconds(text, 0)
    assert found is None or 0 <= found <= 999_999_999


def test_leading_zeros_count_for_nothing() -> None:
    assert retry_after_seconds("000000000000120", 0) == 120


async def test_a_name_server_that_hangs_holds_up_its_own_host_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("hangs"):
            release.wait(20)
        return [(0, 0, 0, "", ("192.0.2.1", 443))]

    monkeypatch.setattr(targets.socket, "getaddrinfo", resolve)
    hanging = [
        asyncio.create_task(targets._resolve(f"hangs-{number % 20}", 443)) for number in range(60)
    ]
    try:
        await asyncio.sleep(0.1)
        assert len(targets._resolving) == 20, "one thread a host"
        found = await asyncio.wait_for(targets._resolve("quick", 443), 5)
        assert found == ["192.0.2.1"]
        hanging += [asyncio.create_task(targets._resolve(f"hangs-{n}", 443)) for n in range(20, 32)]
        await asyncio.sleep(0.1)
        with pytest.raises(Unresolvable, match="32 names wait"):
            await targets._resolve("one-more", 443)
    finally:
        release.set()
    assert [await each for each in hanging] == [["192.0.2.1"]] * len(hanging)
    assert targets._resolving == {}
