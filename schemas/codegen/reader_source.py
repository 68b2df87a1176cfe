"""Source text of straight-line Avro readers.

A reader walks over the bytes with an index. Lengths are never negative, so the index only grows: a
field that reaches beyond the end is found at the next field or by the check after the last one.
Every item of an array or map takes at least a byte, so no count in the data can keep a reader
longer than the data is. Text is cut out of one Latin-1 copy of the data: if the piece is ASCII, it
is what UTF-8 says, else the bytes are decoded.
"""

from typing import Any

from schemas.avro_types import annotation, constructor_order

Document = dict[str, Any]
Lines = list[str]
PREFIX_BYTES = 5
TAIL_STEP = 4
INDENT = "    "


class UnsupportedType(Exception):
    """An Avro type that no record used before: its lines are to be written here."""


_PIECE = [
    "size = data[at]",
    "if size & 129:  # longer than a byte, or negative",
    "    size, start = size_at(data, at)",
    "    at = start + size",
    "else:",
    "    start = at + 1",
    "    at = start + (size >> 1)",
]
_LONG = [
    "$ = data[at]",
    "if $ < 128:",
    "    $ = ($ >> 1) ^ -($ & 1)",
    "    at += 1",
    "else:",
    "    $, at = long_at(data, at)",
]
_SCALARS: dict[str, Lines] = {
    "string": [
        *_PIECE,
        "$ = text[start:at]",
        "if not $.isascii():",
        "    $ = data[start:at].decode()",
    ],
    "bytes": [*_PIECE, "$ = data[start:at]"],
    "long": _LONG,
    "int": _LONG,
    "boolean": [
        "if data[at] > 1:",
        '    raise ValueError("a boolean is neither 0 nor 1")',
        "$ = data[at] == 1",
        "at += 1",
    ],
}


def function_text(head: str, body: Lines) -> str:
    """A function with two blank lines before it."""
    return "\n\n" + "\n".join([head, *indented(body)]) + "\n"


def indented(lines: Lines) -> Lines:
    """One level deeper."""
    return [INDENT + line for line in lines]


def reader_text(document: Document) -> str:
    """`read_<Name>(data)`: the record in Confluent's framing.

    What it reads raises IndexError or ValueError for bytes that are no such record.
    """
    name, fields = document["name"], document["fields"]
    body = ['text = data.decode("latin-1")', f"at = {PREFIX_BYTES}"]
    for index, field in enumerate(fields):
        body += _tail_shortcut(name, fields, index)
        body += _read(field["type"], field["name"])
    body += ["end_at(data, at)", f"return {_construct(name, fields)}"]
    return function_text(f"def read_{name}(data: bytes) -> {name}:", body)


def nested_reader_text(document: Document) -> str:
    """`read_<Name>(data, text, at)`: the record at an index, and the index after it."""
    name, fields = document["name"], document["fields"]
    body = [line for f in fields for line in _read(f["type"], f["name"])]
    body.append(f"return {_construct(name, fields)}, at")
    head = f"def read_{name}(data: bytes, text: str, at: int) -> tuple[{name}, int]:"
    return function_text(head, body)


def _construct(name: str, fields: list[Document]) -> str:
    given = ", ".join(f"f_{f['name']}" for f in constructor_order(fields))
    return f"{name}({given})"


def _tail_shortcut(name: str, fields: list[Document], index: int) -> Lines:
    """Most records end in absent fields: then as many null bytes are left as there are fields."""
    tail = fields[index:]
    if len(tail) % TAIL_STEP or not all(is_optional(f) for f in tail):
        return []
    return [
        f"if len(data) - at == {len(tail)} and not any(data[at:]):",
        f"    return {_construct(name, fields[:index])}",
    ]


def is_optional(field: Document) -> bool:
    """A field that may be absent and then is None."""
    return isinstance(field["type"], list) and field.get("default", 0) is None


def _read(avro_type: Any, name: str) -> Lines:
    """Lines that read a value at `at` into the variable f_<name> and move `at` behind it."""
    if isinstance(avro_type, list):
        return _read_union(value_branch(avro_type), name)
    if isinstance(avro_type, str) and avro_type in _SCALARS:
        return [line.replace("$", f"f_{name}") for line in _SCALARS[avro_type]]
    match avro_type:
        case {"type": "record", "name": record}:
            return [f"f_{name}, at = read_{record}(data, text, at)"]
        case {"type": "array", "items": items}:
            each = [*_read(items, f"{name}_item"), f"f_{name}.append(f_{name}_item)"]
            return _read_blocks(f"f_{name}: {annotation(avro_type)} = []", each)
        case {"type": "map", "values": values}:
            each = [*_read("string", f"{name}_key"), *_read(values, f"{name}_item")]
            each.append(f"f_{name}[f_{name}_key] = f_{name}_item")
            return _read_blocks(f"f_{name}: {annotation(avro_type)} = {{}}", each)
    raise UnsupportedType(f"no reader for the Avro type {avro_type!r}")


def _read_blocks(empty: str, each: Lines) -> Lines:
    step = "count, at = items_at(data, at)"
    loop = ["for _ in range(count):", *indented(each), step]
    return [empty, step, "while count:", *indented(loop)]


def _read_union(value_type: Any, name: str) -> Lines:
    return [
        "branch = data[at]",
        "at += 1",
        "if branch == 0:",
        f"    f_{name} = None",
        "elif branch == 2:",
        *indented(_read(value_type, name)),
        "else:",
        '    raise ValueError("no such branch of a union")',
    ]


def value_branch(branches: list[Any]) -> Any:
    """x of the union ["null", x]. Raises UnsupportedType for any other union."""
    if len(branches) != 2 or branches[0] != "null":
        raise UnsupportedType(f"{branches!r}: only unions of null and one more type are read")
    return branches[1]
