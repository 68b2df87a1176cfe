"""Text of many rows as slices of one buffer, copied without a Python object per value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

_GROUPS_MAX = 16  # beyond it one sort is cheaper than a comparison per length


class Text(NamedTuple):
    """UTF-8 text of n rows: row i is `buffer[start[i] : start[i] + length[i]]`."""

    buffer: Bytes
    start: Longs
    length: Longs

    def select(self, rows: npt.NDArray[np.intp]) -> Text:
        """The same text of other rows, in another order or several times."""
        return Text(self.buffer, self.start[rows], self.length[rows])

    def values(self) -> list[bytes]:
        """Each row's bytes; for tests and rare cases."""
        data = self.buffer.tobytes()
        pairs = zip(self.start.tolist(), self.length.tolist(), strict=True)
        return [data[start : start + length] for start, length in pairs]


def text_of(values: Sequence[bytes]) -> Text:
    """The values in one buffer."""
    length = np.fromiter(map(len, values), np.int64, len(values))
    return Text(np.frombuffer(b"".join(values), np.uint8), np.cumsum(length) - length, length)


def copy_text(source: Text, target: Bytes, at: Longs) -> None:
    """Write row i to `target[at[i] :]`; one vector copy per length that occurs."""
    for length, rows in _by_length(source.length):
        read, write = _windows(source.buffer, length), _windows(target, length)
        if rows is None:
            write[at] = read[source.start]
        else:
            write[at[rows]] = read[source.start[rows]]


def is_utf8(text: Text) -> bool:
    """Whether every row is; bytes below 128 alone always are."""
    joined = np.empty(int(text.length.sum()), np.uint8)
    copy_text(text, joined, np.cumsum(text.length) - text.length)
    if not joined.size or joined.max() < 128:
        return True
    try:
        for value in text.values():
            value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _windows(buffer: Bytes, length: int) -> npt.NDArray[np.void]:
    """Every run of `length` bytes as one item; overlapping views, nothing is copied."""
    return np.ndarray(
        (max(0, buffer.size - length + 1),), np.dtype((np.void, length)), buffer, strides=(1,)
    )


def _by_length(length: Longs) -> Iterator[tuple[int, npt.NDArray[np.intp] | None]]:
    """(length, its rows); rows None: all rows. Empty text is left out: nothing is to be copied."""
    if length.size == 0:
        return
    shortest, longest = int(length.min()), int(length.max())
    if shortest == longest:
        if longest:
            yield longest, None
        return
    if longest - shortest < _GROUPS_MAX:
        for each in range(max(1, shortest), longest + 1):
            rows = np.flatnonzero(length == each)
            if rows.size:
                yield each, rows
        return
    order = np.argsort(length, kind="stable")
    lengths, first = np.unique(length[order], return_index=True)
    for each, rows in zip(lengths.tolist(), np.split(order, first[1:]), strict=True):
        if each:
            yield each, rows


def codes_of(text: Text, names: Sequence[str]) -> Longs:
    """Row i is which of the names it is, -1 if none."""
    codes = np.full(text.length.size, -1, np.int64)
    by_length: dict[int, list[tuple[int, bytes]]] = {}
    for code, name in enumerate(names):
        data = name.encode()
        by_length.setdefault(len(data), []).append((code, data))
    for length, rows in _by_length(text.length):
        known = by_length.get(length)
        if known is None:
            continue
        places = text.start if rows is None else text.start[rows]
        found = _known(_strings(text.buffer, length)[places], known)
        if rows is None:
            return found
        codes[rows] = found
    return codes


def _strings(buffer: Bytes, length: int) -> npt.NDArray[np.bytes_]:
    return np.ndarray(
        (max(0, buffer.size - length + 1),), np.dtype((np.bytes_, length)), buffer, strides=(1,)
    )


def _known(values: npt.NDArray[np.bytes_], known: Sequence[tuple[int, bytes]]) -> Longs:
    """Codes of values that are all of one length; -1 where a value is none of the known ones."""
    order = sorted(known, key=lambda pair: pair[1])
    names = np.array([name for _, name in order])
    codes = np.array([code for code, _ in order], np.int64)
    at = np.minimum(np.searchsorted(names, values), names.size - 1)
    return np.where(names[at] == values, codes[at], -1)
