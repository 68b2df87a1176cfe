"""The card network's key pair: clients encrypt cards with the public part.

JWE with ECDH-ES and A256GCM on P-256 (RFC 7516, RFC 7518); plaintext
`{"number", "exp_month", "exp_year", "cvc"}`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters

ALGORITHMS = ("ECDH-ES", "A256GCM")
PARAMETERS: KeyParameters = {"alg": "ECDH-ES", "use": "enc"}


class CardNotReadableError(ValueError):
    """The card is not a JWE for this network's key, or its plaintext is no card."""


class Card(msgspec.Struct, frozen=True):
    """Plaintext of a card; only its number decides what happens."""

    number: str
    exp_month: int
    exp_year: int
    cvc: str


def load_key(path: Path) -> ECKey:
    """The private key of a state directory, made at its first use."""
    if not path.exists():
        key = ECKey.generate_key("P-256", parameters=PARAMETERS, auto_kid=True)
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(key.as_dict(private=True)))
            os.fsync(file.fileno())
        draft.replace(path)
    return ECKey.import_key(msgspec.json.decode(path.read_bytes()))


def jwks(key: ECKey) -> dict[str, Any]:
    """The public key as a JWK set."""
    return {"keys": [key.as_dict(private=False)]}


def decrypt(key: ECKey, token: str) -> Card:
    """The card in a compact JWE; `CardNotReadableError` otherwise."""
    try:
        plaintext = jwe.decrypt_compact(token, key, algorithms=ALGORITHMS).plaintext
        return msgspec.json.decode(plaintext or b"", type=Card)
    except (JoseError, ValueError, msgspec.MsgspecError) as error:
        raise CardNotReadableError(str(error)) from error
