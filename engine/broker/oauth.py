"""Tokens of the group member for SASL OAUTHBEARER, as librdkafka's `oidc` method gets its own.

The client credentials grant of RFC 6749 4.4; one token is used until most of its life is over.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from aiokafka.abc import AbstractTokenProvider

ANSWER_BYTES_MAX = 65_536
LIFE_SHARE = 0.8
"""Librdkafka renews after the same share of a token's life."""
REQUEST_SECONDS = 10.0
NEEDED = (
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
)


class NoToken(OSError):
    """The token endpoint gave none; the connection is tried again."""


class ClientCredentialsTokens(AbstractTokenProvider):
    """`extra`: librdkafka's `sasl.oauthbearer.*`. Raises ValueError if one of NEEDED is missing."""

    def __init__(self, extra: Mapping[str, Any]) -> None:
        if missing := [name for name in NEEDED if not extra.get(name)]:
            raise ValueError(f"{' and '.join(missing)} must be set with sasl.mechanism OAUTHBEARER")
        self._url, client_id, secret = (str(extra[name]) for name in NEEDED)
        if not self._url.startswith(("http://", "https://")):
            raise ValueError(f"{NEEDED[0]} must be an address that begins with https://")
        who = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(secret)}"
        self._authorization = f"Basic {b64encode(who.encode()).decode()}"
        form = {"grant_type": "client_credentials"}
        if scope := extra.get("sasl.oauthbearer.scope"):
            form["scope"] = str(scope)
        self._form = urllib.parse.urlencode(form).encode()
        self._tls = ssl.create_default_context(cafile=extra.get("https.ca.location"))
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        """A token that is not about to expire. Raises NoToken."""
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                asked = time.monotonic()
                self._token, life_seconds = await asyncio.to_thread(self._ask)
                self._renew_at = asked + life_seconds * LIFE_SHARE
            return self._token

    def _ask(self) -> tuple[str, float]:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url,
            self._form,
            {
                "Authorization": self._authorization,
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - as above
                request, timeout=REQUEST_SECONDS, context=self._tls
            ) as answer:
                found = json.loads(answer.read(ANSWER_BYTES_MAX))
            return str(found["access_token"]), float(found["expires_in"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NoToken(
                f"{self._url} gave no token: {error!r}. Check the address, the client and its"
                " secret."
            ) from error
