"""Keys of the ledger's checkpoints: Ed25519 (RFC 8032), PEM files, one to sign, all to verify.

The directory holds `signing.pem` (mode 0600) and a `<key id>.pub.pem` for it and for each earlier
key. To rotate: move `signing.pem` away and restart the sink, which creates a new one. Keep the old
public keys: old checkpoints are verified with them.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sinks.audit.chain.chain import Checkpoint

KEY_FOLDER = "ledger-keys"
"""Under the state directory, unless the setting `[audit] chain_key_dir` names another source."""
_SIGNING = "signing.pem"
_PUBLIC_SUFFIX = ".pub.pem"

PublicKeys = Mapping[str, Ed25519PublicKey]


class InvalidKey(Exception):
    """A key file is invalid; the message names it."""


class Signer:
    """Signs checkpoints."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key())

    def signed(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with this key's id and signature: the same each time."""
        named = msgspec.structs.replace(checkpoint, key_id=self.key_id)
        signature = base64.b64encode(self._key.sign(named.statement)).decode()
        return msgspec.structs.replace(named, signature=signature)


def key_id(key: Ed25519PublicKey) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def signer(directory: Path) -> Signer:
    """The directory's signing key, created if there is none. Raises InvalidKey."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / _SIGNING
    with suppress(FileExistsError):
        _make(path)
    key = _private(path)
    public = directory / f"{key_id(key.public_key())}{_PUBLIC_SUFFIX}"
    if not public.exists():
        _write(public, _public_pem(key.public_key()), 0o644)
    return Signer(key)


def public_keys(where: Path) -> PublicKeys:
    """Key id -> key, of a PEM file or of all `*.pub.pem` of a directory. Raises InvalidKey."""
    paths = sorted(where.glob(f"*{_PUBLIC_SUFFIX}")) if where.is_dir() else [where]
    keys = (_public(path) for path in paths)
    return {key_id(key): key for key in keys}


def is_signed(checkpoint: Checkpoint, keys: PublicKeys) -> bool:
    """Whether one of the keys signed exactly this."""
    key = keys.get(checkpoint.key_id)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(checkpoint.signature), checkpoint.statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(path: Path) -> None:
    """Whole or not at all: another worker may start at the same time. Raises FileExistsError."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    fresh = path.with_name(f"{_SIGNING}.{os.getpid()}")
    _write(fresh, pem, 0o600)
    try:
        os.link(fresh, path)
    finally:
        fresh.unlink()


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise InvalidKey(f"{path} is not a private key in PEM: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidKey(
            f"{path} is not an Ed25519 key. Create one with `openssl genpkey -algorithm ed25519`."
        )
    return key


def _public(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidKey(f"{path} is not a public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidKey(f"{path} is not an Ed25519 key.")
    return key
