"""The HTTP API as a careful client uses it: the same request again until there is an answer.

Connection errors, 429 and 5xx are retried with the same idempotency key for a bounded time, so that
an API process can be killed and restarted meanwhile.
"""

from __future__ import annotations

import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx2
import stamina

TIMEOUT_SECONDS = 30.0
BACKOFF_SECONDS_FIRST = 0.1
BACKOFF_SECONDS_MAX = 2.0
RETRY_AFTER_SECONDS_MAX = 5.0


class TryAgainError(Exception):
    """An answer that asks for the same request again."""

    def __init__(self, status: int, retry_after_seconds: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.retry_after_seconds = retry_after_seconds


class GaveUpError(Exception):
    """No answer within the time for retries; the request may or may not have been accepted."""


@dataclass(frozen=True)
class Answer:
    """A final answer of the API."""

    status: int
    body: dict[str, Any]
    is_replayed: bool

    @property
    def is_accepted(self) -> bool:
        """Whether the API promised that the command has an outcome."""
        return self.status in (200, 202)

    @property
    def code(self) -> str:
        """Problem code of a refusal."""
        return str(self.body.get("code", self.status))


class ApiClient:
    """Sends requests to one API; use within `async with`."""

    def __init__(
        self,
        base_url: str,
        counts: Counter[str],
        *,
        connections_max: int,
        retry_seconds: float,
        ca_file: str = "",
    ) -> None:
        self._counts = counts
        self._retry_seconds = retry_seconds
        self._http = httpx2.AsyncClient(
            base_url=base_url,
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
            limits=httpx2.Limits(max_connections=connections_max),
            timeout=httpx2.Timeout(TIMEOUT_SECONDS, pool=None),
        )

    async def __aenter__(self) -> ApiClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        key: str = "",
        body: dict[str, Any] | None = None,
        wait_seconds: int = 0,
    ) -> Answer:
        """The final answer; `GaveUpError` after the time for retries."""
        headers = _headers(token, key, wait_seconds)
        attempts = stamina.retry_context(
            on=_backoff,
            attempts=None,
            timeout=self._retry_seconds,
            wait_initial=BACKOFF_SECONDS_FIRST,
            wait_max=BACKOFF_SECONDS_MAX,
            wait_jitter=BACKOFF_SECONDS_FIRST,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    self._counts["retries"] += attempt.num > 1
                    return await self._once(method, path, headers, body)
        except (httpx2.TransportError, TryAgainError) as error:
            self._counts["gave_up"] += 1
            raise GaveUpError(
                f"{method} {path}: no answer for {self._retry_seconds:g} s ({error!r});"
                " is the API up? See `paystream doctor`."
            ) from error
        raise AssertionError("a retry loop without attempts")

    async def _once(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None
    ) -> Answer:
        response = await self._http.request(method, path, headers=headers, json=body)
        if response.status_code == 429 or response.status_code >= 500:
            raise TryAgainError(response.status_code, _retry_after(response))
        return Answer(
            response.status_code,
            response.json() if response.content else {},
            response.headers.get("Idempotent-Replayed") == "true",
        )


def _headers(token: str, key: str, wait_seconds: int) -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {token}" if token else "",
        "Idempotency-Key": key,
        "Prefer": f"wait={wait_seconds}" if wait_seconds else "",
    }
    return {name: value for name, value in headers.items() if value}


def _backoff(error: Exception) -> bool | float:
    if isinstance(error, TryAgainError):
        seconds = error.retry_after_seconds
        return True if seconds is None else min(seconds, RETRY_AFTER_SECONDS_MAX)
    return isinstance(error, httpx2.TransportError)


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
