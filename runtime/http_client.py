"""An HTTP client for one service outside: bounded connections, bounded answers, one time limit.

aiohttp: with hundreds of connections a request costs it a tenth of the CPU of httpx2, whose pool
looks through every connection for each request.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
import certifi
import msgspec

ANSWER_BYTES_MAX = 65_536
REQUEST_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)
"""What `request` raises: the service may have taken the request all the same."""
CONNECT_ERRORS = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Those of REQUEST_ERRORS after which no byte of the request has left: there was no connection."""
_JSON = {"content-type": "application/json"}
KEEPALIVE_SECONDS = 30.0


class HttpResponse(NamedTuple):
    """A status, and the body if it is not longer than ANSWER_BYTES_MAX."""

    status: int
    content: bytes
    complete: bool = True

    @property
    def text(self) -> str:
        """The body for people."""
        return self.content.decode("utf-8", "replace")


def tls_context() -> ssl.SSLContext:
    """Certificates are checked against the system's authorities and the public ones of certifi.

    OpenSSL takes the system's from SSL_CERT_FILE, if that is set.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def new_session(connector: aiohttp.BaseConnector, **options: object) -> aiohttp.ClientSession:
    """A session without cookies, proxies of the system and time limits of its own.

    Call it in the event loop that it will serve.
    """
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        **options,  # type: ignore[arg-type] # options of the session, by name
    )


class HttpClient:
    """One pool of at most `connections_max` connections; no redirects, no proxies of the system."""

    def __init__(self, url: str, timeout_seconds: float, connections_max: int) -> None:
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object = None,
    ) -> HttpResponse:
        """The answer, within `timeout_seconds` from the connection to its last byte.

        Raises one of REQUEST_ERRORS.
        """
        body = None if json is None else msgspec.json.encode(json)
        sent = {**(_JSON if body is not None else {}), **(headers or {})}
        async with (
            asyncio.timeout(self._timeout_seconds),
            self._opened().request(
                method, self._url + path, data=body, headers=sent, allow_redirects=False
            ) as response,
        ):
            content = b""
            async for part in response.content.iter_any():
                content += part
                if len(content) > ANSWER_BYTES_MAX:
                    return HttpResponse(response.status, b"", complete=False)
            return HttpResponse(response.status, content)

    async def close(self) -> None:
        """Close all connections; nothing may be asked afterwards."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first request: a session belongs to the running event loop."""
        if self._session is None:
            self._session = new_session(
                aiohttp.TCPConnector(
                    limit=self._connections_max,
                    ssl=tls_context(),
                    keepalive_timeout=KEEPALIVE_SECONDS,
                )
            )
        return self._session
