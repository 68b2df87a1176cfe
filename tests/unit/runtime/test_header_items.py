"""Headers whose names are no text are no headers, and end nobody who reads them."""

from collections.abc import Callable
from typing import Any

import pytest

from engine import record as engine_record
from runtime import kafka as runtime_kafka


class Unreadable:
    """A message as confluent_kafka gives it if a header's name is not UTF-8."""

    def __init__(self) -> None:
        self.kept: list[Any] | None = None

    def headers(self) -> list[Any]:
        raise SystemError("returned a result with an exception set")

    def set_headers(self, headers: list[Any]) -> None:
        self.kept = headers


class Plain:
    """A message with these headers; None: without any."""

    def __init__(self, found: list[tuple[str, bytes | None]] | None) -> None:
        self._found = found

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return self._found


@pytest.mark.parametrize(
    "header_items",
    [runtime_kafka.header_items, engine_record.header_items],
    ids=["runtime", "engine"],
)
def test_headers_are_read_in_order_or_dropped(header_items: Callable[[Any], Any]) -> None:
    """The rule stands twice, because the engine imports nothing of ours."""
    assert header_items(Plain([("a", b"1"), ("a", None)])) == [("a", b"1"), ("a", None)]
    assert header_items(Plain(None)) == []
    unreadable = Unreadable()
    assert header_items(unreadable) == []
    assert unreadable.kept == []
