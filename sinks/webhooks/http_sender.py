"""One HTTP POST to a merchant's endpoint, bounded in time and in what is read."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NamedTuple

import httpcore2
import httpx2

from schemas.enums import AttemptResult
from schemas.urls import TargetRules, url_error
from sinks.webhooks.settings import WebhookSettings
from sinks.webhooks.targets import GuardedBackend

USER_AGENT = "paystream-webhooks/1"
ERROR_CHARACTERS_MAX = 300
GONE = 410
_KEEPALIVE_CONNECTIONS_MAX = 200
_RETRY_AFTER_DIGITS_MAX = 9
RETRY_AFTER_SECONDS_MAX = 999_999_999


class DeliveryResponse(NamedTuple):
    """The response of an endpoint: a status, or an error text."""

    http_status: int | None
    error: str | None
    latency_ms: int = 0
    retry_after_seconds: int | None = None
    exhausted: bool = False
    """The endpoint no longer exists."""

    @property
    def result(self) -> AttemptResult:
        """2xx is delivered, 410 ends the delivery, anything else is retried, redirects too."""
        status = self.http_status
        if status is not None and 200 <= status < 300:
            return AttemptResult.DELIVERED
        over = self.exhausted or status == GONE
        return AttemptResult.EXHAUSTED if over else AttemptResult.FAILED


class WebhookSender:
    """Sends webhooks. Never follows a redirect, uses no proxy and no cookie."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._rules = TargetRules(
            allow_loopback=settings.allow_loopback,
            allow_private_addresses=settings.allow_private_addresses,
        )
        self._client = httpx2.AsyncClient(
            transport=_GuardedTransport(self._rules, settings.in_flight_max),
            timeout=settings.attempt_timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={"user-agent": USER_AGENT, "content-type": "application/json"},
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryResponse:
        """The endpoint's response; any failure is a response with an error.

        A receiver answers what it likes: nothing of it may end in an exception, which would repeat
        the attempt each second without being counted.
        """
        if problem := url_error(url, self._rules):
            return DeliveryResponse(None, problem)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.attempt_timeout_seconds):
                status, retry_after = await self._exchange(url, headers, body)
        except TimeoutError:
            return DeliveryResponse(None, "time-out", _elapsed_ms(began))
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS_MAX]
            return DeliveryResponse(None, text, _elapsed_ms(began))
        retry_after_s = retry_after_seconds(retry_after, time.time())
        return DeliveryResponse(status, None, _elapsed_ms(began), retry_after_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _exchange(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str | None]:
        async with self._client.stream("POST", url, content=body, headers=headers) as response:
            read_bytes = 0
            async for chunk in response.aiter_raw():
                read_bytes += len(chunk)
                if read_bytes > self._settings.response_bytes_max:
                    break
            return response.status_code, response.headers.get("retry-after")


def retry_after_seconds(text: str | None, now_seconds: float) -> int | None:
    """Value of a Retry-After header (RFC 9110 §10.2.3), which is seconds or a date; else None."""
    if text is None:
        return None
    digits = text.strip()
    if digits.isascii() and digits.isdecimal():
        number = digits.lstrip("0")[:_RETRY_AFTER_DIGITS_MAX] or "0"
        return min(int(number), RETRY_AFTER_SECONDS_MAX)
    try:
        seconds = int(parsedate_to_datetime(text).timestamp() - now_seconds)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None  # no date, or one of a year that has no calendar
    return min(max(0, seconds), RETRY_AFTER_SECONDS_MAX)


def _elapsed_ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport over a pool that checks addresses.

    httpx2 has no parameter for the pool's network backend, so the pool is replaced; a test calls
    through it.
    """

    def __init__(self, rules: TargetRules, connections_max: int) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=connections_max,
            max_keepalive_connections=_KEEPALIVE_CONNECTIONS_MAX,
            keepalive_expiry=30.0,
            network_backend=GuardedBackend(rules),
        )
