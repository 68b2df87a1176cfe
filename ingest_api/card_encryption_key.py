"""The card network's public encryption keys (RFC 7517), passed on and kept for a minute."""

import asyncio

import httpx2

from ingest_api.http.problems import try_again

_TIMEOUT_SECONDS = 3.0
_PATH = "/.well-known/jwks.json"


class CardKey:
    """Clients encrypt card data to this key; the network alone can read it."""

    def __init__(self, network_url: str, fresh_seconds: float) -> None:
        self._url = f"{network_url.rstrip('/')}{_PATH}" if network_url else ""
        self._fresh_seconds = fresh_seconds
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS)
        self._asking = asyncio.Lock()
        self._document = b""
        self._fetched_at = float("-inf")

    async def jwks(self) -> bytes:
        """The JWK Set. An old one is answered while the network is silent.

        Raises ApiProblem network_unavailable if none was ever seen.
        """
        async with self._asking:
            if asyncio.get_running_loop().time() - self._fetched_at > self._fresh_seconds:
                await self._fetch()
        if not self._document:
            raise try_again("network_unavailable", 5)
        return self._document

    async def stop(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _fetch(self) -> None:
        if not self._url:
            return
        try:
            answer = await self._client.get(self._url)
            answer.raise_for_status()
        except httpx2.HTTPError:
            return
        self._document = answer.content
        self._fetched_at = asyncio.get_running_loop().time()
