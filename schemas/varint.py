"""Avro's variable-length integers, for the generated codecs: zigzag, 7 bits a byte, low bits first.

The writers put text together in which each character is a byte (Latin-1), because joining text is
cheaper than encoding each field. Source: Avro specification 1.12, "Binary encoding".
"""

from typing import Final

LONG_MIN, LONG_MAX = -(1 << 63), (1 << 63) - 1
_GO_ON: Final = 128  # set in every byte but the last
_CHUNK: Final = 1 << 14
_SIX_GO_ON: Final = sum(_GO_ON << 7 * index for index in range(5))


def _end(number: int) -> str:
    return chr(number) if number < _GO_ON else chr(number & 127 | _GO_ON) + chr(number >> 7)


_ENDS: Final = tuple(_end(number) for number in range(_CHUNK))
_GOES_ON: Final = tuple(chr(n & 127 | _GO_ON) + chr(n >> 7 | _GO_ON) for n in range(_CHUNK))


def long_text(value: int) -> str:
    """A `long`, encoded. Raises OverflowError outside of 64 bits, TypeError for no int."""
    if not LONG_MIN <= value <= LONG_MAX:
        raise OverflowError(f"{value} does not fit into an Avro long")
    rest = value << 1 if value >= 0 else ~(value << 1)
    whole = ""
    while rest >= _CHUNK:
        whole += _GOES_ON[rest & 16383]
        rest >>= 14
    return whole + _ENDS[rest]


class _Longs(dict[int, str]):
    def __missing__(self, value: int) -> str:
        return long_text(value)


LONGS: Final = _Longs({value: _ENDS[value << 1] for value in range(_CHUNK >> 1)})
"""int -> its encoding: small ones from a table, all others computed at each use."""


def wide(text: str) -> str:
    """UTF-8 bytes of text that is not ASCII, a character each."""
    return text.encode().decode("latin-1")


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """(value, index after it). Raises IndexError at the end of the data, ValueError beyond 64 bits.

    One and two bytes are straight, and so are six: a time in epoch milliseconds.
    """
    first = data[at]
    if first < _GO_ON:
        return (first >> 1) ^ -(first & 1), at + 1
    if data[at + 1] < _GO_ON:
        number = first - _GO_ON + (data[at + 1] << 7)
        return (number >> 1) ^ -(number & 1), at + 2
    if len(six := data[at : at + 6]) == 6:
        a, b, c, d, e, f = six
        if c & d & e & _GO_ON and f < _GO_ON:
            number = a + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (f << 35) - _SIX_GO_ON
            return (number >> 1) ^ -(number & 1), at + 6
    return _any_long_at(data, at)


def _any_long_at(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for index in range(10):
        byte = data[at + index]
        number |= (byte & 127) << 7 * index
        if byte < _GO_ON:
            if number > 2 * LONG_MAX + 1:
                break
            return (number >> 1) ^ -(number & 1), at + index + 1
    raise ValueError("a number has more than 64 bits")


def size_at(data: bytes, at: int) -> tuple[int, int]:
    """(length, index after it). Raises like `long_at`, and ValueError below zero."""
    first, second = data[at], data[at + 1]
    if first >= _GO_ON > second and not first & 1:  # up to 8191
        return (first - _GO_ON >> 1) + (second << 6), at + 2
    size, at = long_at(data, at)
    if size < 0:
        raise ValueError("a length is negative")
    return size, at


def items_at(data: bytes, at: int) -> tuple[int, int]:
    """(items in the next block of an array or map, index of the first one); 0 items end it.

    A negative count is followed by the block's size in bytes, for readers that skip.
    """
    count, at = long_at(data, at)
    if count < 0:
        _, at = long_at(data, at)
    return abs(count), at


def end_at(data: bytes, at: int) -> None:
    """Raises ValueError unless the record took exactly all bytes."""
    if at > len(data):
        raise ValueError("the data ends within a field")
    if at < len(data):
        raise ValueError("bytes are left over")
