"""One HTTP POST to a merchant's endpoint, bounded in time and in what is read."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

from runtime.http_client import KEEPALIVE_SECONDS, new_session, tls_context
from schemas.enums import AttemptResult
from schemas.urls import TargetRules, url_error
from sinks.webhooks.settings import WebhookSettings
from sinks.webhooks.targets import GuardedResolver, guarded_socket

USER_AGENT = "paystream-webhooks/1"
ERROR_CHARACTERS_MAX = 300
GONE = 410
_HEADERS = {
    "user-agent": USER_AGENT,
    "content-type": "application/json",
    "accept-encoding": "identity",
}
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
        self._session: aiohttp.ClientSession | None = None

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
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str | None]:
        async with self._opened().post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            read_bytes = 0
            async for chunk in response.content.iter_any():
                read_bytes += len(chunk)
                if read_bytes > self._settings.response_bytes_max:
                    break
            return response.status, response.headers.get("retry-after")

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first attempt: a session belongs to the running event loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._settings.in_flight_max,
                ssl=tls_context(),
                resolver=GuardedResolver(self._rules),
                socket_factory=guarded_socket(self._rules),
                use_dns_cache=False,
                keepalive_timeout=KEEPALIVE_SECONDS,
            )
            self._session = new_session(connector, headers=_HEADERS, auto_decompress=False)
        return self._session


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
