"""Signatures of producers' commands: Ed25519 (RFC 8032) over the root of a Merkle tree (RFC 9162).

A producer signs one command, or many at once: the leaves of the tree are the values, and each
record carries the path from its leaf to the root. One signature covers a whole burst, so a verifier
checks it once per root and hashes for the rest. A single command is a tree of one leaf.

Headers of a signed record: `signature_key_id` (text), `signature` (64 bytes), and for trees of more
than one leaf `signature_path`: index and size as 4 bytes each (big-endian), then 32 bytes per step.
"""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.headers import SIGNATURE, SIGNATURE_KEY_ID, SIGNATURE_PATH
from schemas.merchant_bounds import PUBLIC_KEY_BYTES

LEAVES_MAX = 65_536
"""Commands that one signature may cover; a path has 16 steps at most."""
VERIFIED_ROOTS_MAX = 4_096
"""Roots that a verifier remembers."""
_CONTEXT = b"paystream payment command v1\n"
_HASH_BYTES = 32
_SIGNATURE_BYTES = 64
_POSITION = struct.Struct(">II")
_FIELD_PRIME = 2**255 - 19
_SIGN_BIT = 1 << 255
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)
"""Ordinates of the eight points whose order divides the cofactor (RFC 8032, 5.1)."""


def is_usable_key(public_key: bytes) -> bool:
    """Whether the 32 bytes may be a producer's key: a canonical point, not of small order.

    Anyone can sign for a point of small order without a private key.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    ordinate = int.from_bytes(public_key, "little") & ~_SIGN_BIT
    return ordinate < _FIELD_PRIME and ordinate not in _SMALL_ORDER


class SignatureRefused(Exception):
    """The record is not signed by this key; the message says what is wrong."""


def _leaf(value: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + value).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _tree(leaves: Sequence[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """Root, and the path of each leaf from the bottom to the top (RFC 9162, 2.1.1 and 2.1.3.1)."""
    if len(leaves) == 1:
        return leaves[0], [[]]
    left_size = 1 << (len(leaves) - 1).bit_length() - 1
    left, left_paths = _tree(leaves[:left_size])
    right, right_paths = _tree(leaves[left_size:])
    paths = [[*path, right] for path in left_paths] + [[*path, left] for path in right_paths]
    return _node(left, right), paths


def sign(
    private_key: Ed25519PrivateKey, key_id: str, values: Sequence[bytes]
) -> list[dict[str, bytes]]:
    """The signature headers of each value, with one signature for all of them.

    Raises ValueError for no value, or for more than LEAVES_MAX.
    """
    if not 1 <= len(values) <= LEAVES_MAX:
        raise ValueError(f"{len(values)} values are to be signed. Sign 1 to {LEAVES_MAX} at once.")
    root, paths = _tree([_leaf(value) for value in values])
    signed = {SIGNATURE_KEY_ID: key_id.encode(), SIGNATURE: private_key.sign(_CONTEXT + root)}
    if len(values) == 1:
        return [signed]
    size = len(values)
    return [
        {**signed, SIGNATURE_PATH: _POSITION.pack(index, size) + b"".join(path)}
        for index, path in enumerate(paths)
    ]


def _root(leaf: bytes, path: bytes | None) -> bytes:
    """The root that a leaf and its path lead to (RFC 9162, 2.1.3.2). Raises SignatureRefused."""
    if path is None:
        return leaf
    steps, rest = divmod(len(path) - _POSITION.size, _HASH_BYTES)
    if steps < 0 or rest:
        raise SignatureRefused(f"{SIGNATURE_PATH} is not 8 bytes and 32 bytes per step")
    index, size = _POSITION.unpack_from(path)
    if not index < size <= LEAVES_MAX:
        raise SignatureRefused(f"{SIGNATURE_PATH} has leaf {index} of {size}")
    last, node = size - 1, leaf
    for step in range(steps):
        start = _POSITION.size + step * _HASH_BYTES
        sibling = path[start : start + _HASH_BYTES]
        if not last:
            raise SignatureRefused(f"{SIGNATURE_PATH} has too many steps")
        if index & 1 or index == last:
            node = _node(sibling, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = _node(node, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise SignatureRefused(f"{SIGNATURE_PATH} has too few steps")
    return node


class SignatureVerifier:
    """Checks records' signatures, and remembers the roots that it has verified. Not thread-safe."""

    def __init__(self) -> None:
        self._verified: OrderedDict[tuple[bytes, bytes, bytes], None] = OrderedDict()

    def check(self, value: bytes, headers: Mapping[str, bytes], public_key: bytes) -> None:
        """Returns if the value is signed by the key of 32 raw bytes. Raises SignatureRefused."""
        signature = headers.get(SIGNATURE, b"")
        if len(signature) != _SIGNATURE_BYTES:
            raise SignatureRefused(f"the header {SIGNATURE} is not {_SIGNATURE_BYTES} bytes")
        root = _root(_leaf(value), headers.get(SIGNATURE_PATH))
        known = (public_key, root, signature)
        if known in self._verified:
            self._verified.move_to_end(known)
            return
        if not is_usable_key(public_key):
            raise SignatureRefused("the registered key is no usable Ed25519 key")
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _CONTEXT + root)
        except (InvalidSignature, ValueError) as error:
            raise SignatureRefused("the signature is not of this value and key") from error
        self._verified[known] = None
        if len(self._verified) > VERIFIED_ROOTS_MAX:
            self._verified.popitem(last=False)
