"""Values of tables carry the version of their type, and a worker refuses one of a newer release.

A type's version is the number of fields in it and in what it contains. Fields are only added, at
the end and with a default, so it grows with each change and nobody has to remember it. An older
worker would read a newer value without its last fields, and write it back so: in the tables that
guard money.
"""

from collections.abc import Callable
from typing import Any, TypedDict

import msgspec

from engine import UnreadableState

_MARK = 0xC1
"""No MessagePack value begins with it (specification, "Overview": never used)."""
_PREFIX_BYTES = 3
Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


class StateCodec(TypedDict):
    """Two arguments of `EngineApp.transactional_table`."""

    encode: Encode
    decode: Decode


def state_codec(name: str, kind: Any, encode: Encode, decode: Decode) -> StateCodec:
    """`encode` and `decode` of a table `name` with values of the type `kind`, with its version.

    A value without a version is of a release before versions, and is read. The decoder raises
    `UnreadableState` for a newer one.
    """
    version = version_of(kind)
    prefix = bytes([_MARK]) + version.to_bytes(_PREFIX_BYTES - 1, "big")

    def encode_versioned(value: Any) -> bytes:
        return prefix + encode(value)

    def decode_versioned(data: bytes) -> Any:
        if data[:_PREFIX_BYTES] == prefix:
            return decode(data[_PREFIX_BYTES:])
        if data[:1] != prefix[:1]:
            return decode(data)
        found = int.from_bytes(data[1:_PREFIX_BYTES], "big")
        if found > version:
            raise UnreadableState(
                f"The table {name} has a value of version {found}. This release of the worker reads"
                f" versions up to {version}: a newer release wrote it. Start that release again."
            )
        return decode(data[_PREFIX_BYTES:])

    return StateCodec(encode=encode_versioned, decode=decode_versioned)


def version_of(kind: Any) -> int:
    """Fields of the type, of its alternatives and of what they contain; each type counts once."""
    seen: set[type] = set()
    return _fields_in(msgspec.inspect.type_info(kind), seen)


def _fields_in(info: Any, seen: set[type]) -> int:
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls in seen:
            return 0
        seen.add(info.cls)
        return len(info.fields) + sum(_fields_in(each.type, seen) for each in info.fields)
    count = 0
    for name in ("types", "item_types"):
        count += sum(_fields_in(each, seen) for each in getattr(info, name, ()))
    for name in ("item_type", "key_type", "value_type"):
        if (inner := getattr(info, name, None)) is not None:
            count += _fields_in(inner, seen)
    return count
