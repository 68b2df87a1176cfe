"""Records to bytes and back in Confluent's wire format.

That is 0x00, the schema id (4 bytes, big endian), then Avro's binary encoding.
"""

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Any, TypeVar

import fastavro
import msgspec

from schemas.avro_types import nested_records
from schemas.generated_codecs import READERS, WRITERS
from schemas.registry import Contract, contracts, latest

_MAGIC = b"\x00"
_PREFIX_BYTES = 5
NEWER_IDS_MAX = 10_000
"""Ids follow one another: a record with an id far behind those of this release is garbage."""
R = TypeVar("R", bound=msgspec.Struct)


class UndecodableRecord(Exception):
    """The bytes are not a record that this release knows; the message says why."""


class NewerSchema(UndecodableRecord):
    """A well-formed record with a schema id that comes after those of this release.

    A newer release writes here: the record is to be read by it, and is no garbage.
    """


def encode(record: msgspec.Struct) -> bytes:
    """The record in the newest version of its contract."""
    encoded: bytes = WRITERS[type(record)](record)
    return encoded


def encode_by_schema(record: msgspec.Struct) -> bytes:
    """The same through fastavro: the reference that the generated writers are tested against."""
    contract = latest()[type(record).__name__]
    buffer = BytesIO()
    buffer.write(_prefix(contract))
    builtins = msgspec.to_builtins(record, builtin_types=(bytes,))
    fastavro.schemaless_writer(buffer, contract.parsed, builtins)
    return buffer.getvalue()


def schema_prefix(cls: type[msgspec.Struct]) -> bytes:
    """The five bytes that begin every record of the newest version of the class's contract."""
    return _prefix(latest()[cls.__name__])


def _prefix(contract: Contract) -> bytes:
    return _MAGIC + contract.schema_id.to_bytes(4, "big")


def _writer_contract(data: bytes) -> Contract:
    if len(data) < _PREFIX_BYTES or data[:1] != _MAGIC:
        raise UndecodableRecord(
            "the value does not start with 0x00 and a 4-byte schema id (Confluent wire format)"
        )
    schema_id = int.from_bytes(data[1:_PREFIX_BYTES], "big")
    contract = contracts().get(schema_id)
    if contract is None:
        known = max(contracts())
        if known < schema_id <= known + NEWER_IDS_MAX:
            raise NewerSchema(
                f"schema id {schema_id} is newer than this release, which knows ids up to {known}:"
                " update this process, readers go before writers"
            )
        raise UndecodableRecord(f"schema id {schema_id} is not in schemas/ids.lock of this release")
    return contract


@cache
def _builder(cls: type[R]) -> Callable[[dict[str, Any]], R]:
    if nested_records(latest()[cls.__name__].document):
        return lambda fields: msgspec.convert(fields, cls)
    return lambda fields: cls(**fields)


@cache
def decoder(cls: type[R]) -> Callable[[bytes | None], R]:
    """`decode` bound to a class, as agents want it."""
    contract = latest()[cls.__name__]
    prefix, read = _prefix(contract), READERS[cls]

    def decode_record(data: bytes | None) -> R:
        if data is None:
            raise UndecodableRecord(
                "The record has no value: a tombstone is no record of its topic."
            )
        if data[:_PREFIX_BYTES] != prefix:
            return decode_by_schema(cls, data)
        try:
            record: R = read(data)
        except (IndexError, ValueError) as error:
            raise UndecodableRecord(f"not a valid {contract.record}: {error}") from error
        return record

    return decode_record


def decode(cls: type[R], data: bytes | None) -> R:
    """The record as `cls`, resolved from the version that it was written with.

    Raises UndecodableRecord for anything else, a tombstone too.
    """
    decode_record: Callable[[bytes | None], R] = decoder(cls)
    return decode_record(data)


def decode_by_schema(cls: type[R], data: bytes) -> R:
    """`decode` through fastavro: for older versions, and the reference of the generated readers."""
    contract = _writer_contract(data)
    reader = latest()[cls.__name__]
    if contract.record != reader.record:
        raise UndecodableRecord(f"expected a {reader.record}, found a {contract.record}")
    resolve = None if contract is reader else reader.parsed
    body = BytesIO(data)
    body.seek(_PREFIX_BYTES)
    try:
        fields = fastavro.schemaless_reader(body, contract.parsed, resolve)
    except (EOFError, ValueError, IndexError, StopIteration, TypeError, OverflowError) as error:
        raise UndecodableRecord(f"not a valid {contract.record}: {error!r}") from error
    if body.read(1):
        raise UndecodableRecord(f"bytes are left over after the {contract.record}")
    build: Callable[[dict[str, Any]], R] = _builder(cls)
    return build(fields)
