"""Secrets at rest: AES-256-GCM under the master key, bound to what they belong to."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "v1"
_NONCE_BYTES = 12
_KEY_BYTES = 32


class DecryptionError(Exception):
    """The sealed text was changed, belongs to something else, or the master key is another."""


def _cipher(master_key: str) -> AESGCM:
    key = base64.b64decode(master_key)
    if len(key) != _KEY_BYTES:
        raise ValueError(
            "PAYSTREAM_MASTER_KEY must be 32 bytes in base64. `openssl rand -base64 32` makes one."
        )
    return AESGCM(key)


def encrypt(master_key: str, text: str, belongs_to: str) -> str:
    """`v1.` + base64 of nonce and ciphertext; opens only with the same key and owner.

    master_key: 32 bytes in base64. Raises ValueError if it is not.
    """
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(master_key).encrypt(nonce, text.encode(), belongs_to.encode())
    return f"{_VERSION}.{base64.b64encode(nonce + sealed).decode()}"


def decrypt(master_key: str, sealed: str, belongs_to: str) -> str:
    """The text that was sealed. Raises DecryptionError."""
    version, _, body = sealed.partition(".")
    if version != _VERSION:
        raise DecryptionError(f"A secret has the unknown encryption version {version!r}.")
    data = base64.b64decode(body)
    try:
        opened = _cipher(master_key).decrypt(
            data[:_NONCE_BYTES], data[_NONCE_BYTES:], belongs_to.encode()
        )
    except InvalidTag:
        raise DecryptionError(
            f"A secret of {belongs_to} cannot be decrypted with this PAYSTREAM_MASTER_KEY."
        ) from None
    return opened.decode()
