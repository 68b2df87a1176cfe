"""Cards encrypted as a shop's web page does it: to the key that the API publishes."""

from __future__ import annotations

from typing import Any

import msgspec
from joserfc import jwe
from joserfc.jwk import ECKey, KeySet

from devstack.simulators.cards import BY_NAME


class CardEncryption:
    """Encrypts scripted cards to the first key of a JWK set that can be used for it."""

    def __init__(self, key_set: dict[str, Any]) -> None:
        keys = KeySet.import_key_set({"keys": key_set["keys"]}).keys
        self._key = next(key for key in keys if isinstance(key, ECKey))
        self._header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": self._key.kid}

    def card(self, name: str) -> str:
        """Compact JWE of the scripted card with this name."""
        return self.number(BY_NAME[name].number)

    def number(self, number: str) -> str:
        """Compact JWE of a card with this number."""
        card = {
            "number": number,
            "exp_month": 12,
            "exp_year": 2039,
            "cvc": "123",
        }
        return jwe.encrypt_compact(dict(self._header), msgspec.json.encode(card), self._key)
