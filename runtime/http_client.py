"""An HTTP client for one service outside: bounded connections, bounded answers, one time limit."""

import asyncio
from typing import Any, NamedTuple

import httpx2

ANSWER_BYTES_MAX = 65_536
REQUEST_ERRORS = (httpx2.HTTPError, TimeoutError, OSError)
"""What `request` raises: the service may have taken the request all the same."""
CONNECT_ERRORS = (httpx2.ConnectError, httpx2.ConnectTimeout)
"""Those of REQUEST_ERRORS after which no byte of the request has left: there was no connection."""


class HttpResponse(NamedTuple):
    """A status, and the body if it is not longer than ANSWER_BYTES_MAX."""

    status: int
    content: bytes
    complete: bool = True

    @property
    def text(self) -> str:
        """The body for people."""
        return self.content.decode("utf-8", "replace")


class HttpClient:
    """One pool of at most `connections_max` connections; no redirects, no proxies of the system."""

    def __init__(self, url: str, timeout_seconds: float, connections_max: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._client = httpx2.AsyncClient(
            base_url=url,
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=connections_max),
        )

    async def request(self, method: str, path: str, **options: Any) -> HttpResponse:
        """The answer, within `timeout_seconds` from the connection to its last byte.

        Raises one of REQUEST_ERRORS.
        """
        async with (
            asyncio.timeout(self._timeout_seconds),
            self._client.stream(method, path, **options) as response,
        ):
            content = b""
            async for part in response.aiter_bytes():
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    return HttpResponse(response.status_code, b"", complete=False)
            return HttpResponse(response.status_code, content)

    async def close(self) -> None:
        """Close all connections; nothing may be asked afterwards."""
        await self._client.aclose()
