"""A running simulator as tests see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
from joserfc import jwe
from joserfc.jwk import KeySet

from devstack.services.child import Child
from devstack.simulators.cards import BY_NAME


@dataclass
class Running:
    """A started simulator and a client of it."""

    child: Child
    http: httpx2.Client

    def log(self) -> list[dict[str, Any]]:
        """Lines of `GET /log`."""
        return [msgspec.json.decode(line) for line in self.log_text().splitlines()]

    def log_text(self) -> str:
        """`GET /log` as it is."""
        return self.http.get("/log").raise_for_status().text

    def encrypt(self, card_name: str) -> str:
        """A JWE of a scripted card for this network."""
        return self.encrypt_text(
            msgspec.json.encode(
                {
                    "number": BY_NAME[card_name].number,
                    "exp_month": 12,
                    "exp_year": 2039,
                    "cvc": "123",
                }
            ).decode()
        )

    def encrypt_text(self, plaintext: str) -> str:
        """A JWE of any text for this network."""
        keys = KeySet.import_key_set(self.http.get("/.well-known/jwks.json").json())
        header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": keys.keys[0].kid}
        return jwe.encrypt_compact(header, plaintext, keys)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.child.kill_group()


Start = Callable[..., Running]
