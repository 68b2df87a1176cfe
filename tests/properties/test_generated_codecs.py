"""The generated codecs agree with fastavro on every record, and refuse every other byte string."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import records
from schemas.codec import (
    UndecodableRecord,
    decode,
    decode_by_schema,
    encode,
    encode_by_schema,
)
from schemas.codegen.generate import codec_text
from schemas.codegen.reader_source import UnsupportedType
from schemas.generated_codecs import READERS
from schemas.registry import latest
from schemas.varint import LONG_MAX, LONG_MIN, LONGS, long_at

LONGS_ANY = st.integers(LONG_MIN, LONG_MAX) | st.sampled_from(
    [sign * 2**power + step for power in range(63) for step in (-1, 0, 1) for sign in (-1, 1)]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS | st.sampled_from(["x" * length for length in (63, 64, 65, 8191, 8192)]),
    "long": LONGS_ANY,
    "int": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=150),
}


def values(avro_type: Any) -> st.SearchStrategy[Any]:
    """Any value of an Avro type, as the Structs hold it."""
    match avro_type:
        case str():
            return SCALARS[avro_type]
        case list():
            return st.one_of([st.none(), *(values(t) for t in avro_type if t != "null")])
        case {"type": "array", "items": items}:
            return st.lists(values(items), max_size=4)
        case {"type": "map", "values": inner}:
            return st.dictionaries(TEXTS, values(inner), max_size=4)
        case _:
            return structs(avro_type)


def structs(document: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any record of the type; optional fields are often absent, as they are in life."""
    cls = getattr(records, document["name"])
    fields = {field["name"]: values(field["type"]) for field in document["fields"]}
    absent = {f["name"] for f in document["fields"] if f.get("default", 0) is None}
    given_fields = {name: made for name, made in fields.items() if name not in absent}
    return st.fixed_dictionaries(
        given_fields, optional={name: fields[name] for name in absent}
    ).map(lambda chosen: cls(**chosen))


RECORDS = {name: structs(contract.document) for name, contract in sorted(latest().items())}
EACH_RECORD = pytest.mark.parametrize("name", RECORDS)


@EACH_RECORD
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_both_ways_agree_with_fastavro(name: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[name])
    written = encode(record)
    assert written == encode_by_schema(record)
    assert decode(type(record), written) == decode_by_schema(type(record), written) == record


@EACH_RECORD
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_every_truncation_is_refused(name: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[name])
    written = encode(record)
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(UndecodableRecord):
        decode(type(record), written[:cut])


@EACH_RECORD
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_changed_bytes_are_a_record_or_refused(name: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[name])
    written = bytearray(encode(record))
    for place in data.draw(st.lists(st.integers(5, len(written) - 1), min_size=1, max_size=5)):
        written[place] = data.draw(st.integers(0, 255))
    check_it_is_read_or_refused(type(record), bytes(written))


@EACH_RECORD
@settings(deadline=None, max_examples=25)
@given(garbage=st.binary(max_size=300))
def test_garbage_is_a_record_or_refused(name: str, garbage: bytes) -> None:
    cls = getattr(records, name)
    prefix = b"\0" + latest()[name].schema_id.to_bytes(4, "big")
    check_it_is_read_or_refused(cls, prefix + garbage)


def check_it_is_read_or_refused(cls: type[Any], data: bytes) -> None:
    """What is read can be written, and fastavro reads the same from the same bytes."""
    try:
        found = decode(cls, data)
    except UndecodableRecord:
        return
    assert decode(cls, encode(found)) == found == decode_by_schema(cls, data)


def smallest(avro_type: Any) -> Any:
    """One short value of a type; lists and maps have one item."""
    match avro_type:
        case str():
            return {"string": "s", "bytes": b"b", "boolean": True}.get(avro_type, 1)
        case list():
            return None
        case {"type": "array", "items": items}:
            return [smallest(items)]
        case {"type": "map", "values": inner}:
            return {"k": smallest(inner)}
        case _:
            fields = {f["name"]: smallest(f["type"]) for f in avro_type["fields"]}
            return getattr(records, avro_type["name"])(**fields)


@EACH_RECORD
def test_a_count_or_length_beyond_the_data_ends_at_the_end_of_the_data(name: str) -> None:
    record = smallest(latest()[name].document)
    written = encode(record)
    huge = LONGS[LONG_MAX].encode("latin-1")
    for place in range(5, len(written)):
        changed = written[:place] + huge + written[place + 1 :]
        check_it_is_read_or_refused(type(record), changed)


@given(LONGS_ANY)
def test_a_long_survives(value: int) -> None:
    encoded = LONGS[value].encode("latin-1")
    assert long_at(encoded, 0) == (value, len(encoded))
    assert len(encoded) == max(
        1, math.ceil((value * 2 if value >= 0 else ~(value * 2)).bit_length() / 7)
    )


@pytest.mark.parametrize("value", [LONG_MAX + 1, LONG_MIN - 1])
def test_a_number_beyond_64_bits_is_not_written(value: int) -> None:
    with pytest.raises(OverflowError, match="Avro long"):
        LONGS[value]


@pytest.mark.parametrize("data", [b"\xff" * 9 + b"\x02", b"\xff" * 10 + b"\x00"])
def test_a_number_beyond_64_bits_is_not_read(data: bytes) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        long_at(data, 0)


def test_negative_block_counts_are_read_as_the_specification_says() -> None:
    record = smallest(latest()["PayoutEvent"].document)
    written = encode(record)
    block = b"\x02\x02s\x00"  # one item "s", end
    assert written.count(block) == 1
    sized = written.replace(block, b"\x01\x04\x02s\x00")  # -1 items, 2 bytes, "s", end
    assert decode(records.PayoutEvent, sized) == record


@pytest.mark.parametrize(
    "avro_type", ["double", ["string", "null"], ["null", "string", "long"], {"type": "enum"}]
)
def test_a_type_that_no_record_uses_is_named_by_the_generator(avro_type: Any) -> None:
    document = {"name": "X", "fields": [{"name": "a", "type": avro_type}]}
    with pytest.raises(UnsupportedType):
        codec_text(document, 1)


def test_every_struct_of_a_contract_has_a_reader() -> None:
    assert {cls.__name__ for cls in READERS} == set(latest())
    assert all(issubclass(cls, msgspec.Struct) for cls in READERS)
