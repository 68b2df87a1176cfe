"""The card network's public encryption keys (RFC 7517), passed on and cached for a minute."""

import asyncio

import httpx2

_TIMEOUT_SECONDS = 3.0
_PATH = "/.well-known/jwks.json"


class CardKeyUnavailable(Exception):
    """No key was ever received from the card network."""


class CardKey:
    """Clients encrypt card data to this key; the network alone can read it."""

    def __init__(self, network_url: str, fresh_seconds: float) -> None:
        self._url = f"{network_url.rstrip('/')}{_PATH}" if network_url else ""
        self._fresh_seconds = fresh_seconds
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS)
        self._fetching = asyncio.Lock()
        self._document = b""
        self._fetched_at = float("-inf")

    async def jwks(self) -> bytes:
        """The JWK Set. An old one is returned while the network does not respond.

        Raises CardKeyUnavailable if none was ever received.
        """
        async with self._fetching:
            if asyncio.get_running_loop().time() - self._fetched_at > self._fresh_seconds:
                await self._fetch()
        if not self._document:
            raise CardKeyUnavailable
        return self._document

    async def stop(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _fetch(self) -> None:
        if not self._url:
            return
        try:
            response = await self._client.get(self._url)
            response.raise_for_status()
        except httpx2.HTTPError:
            return
        self._document = response.content
        self._fetched_at = asyncio.get_running_loop().time()
