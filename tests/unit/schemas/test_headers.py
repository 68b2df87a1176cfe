"""Times and headers as the standards write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.headers import record_headers, rfc3339

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_rfc3339_agrees_with_the_standard_library(moment: datetime) -> None:
    time_ms = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    parsed = datetime.fromisoformat(rfc3339(time_ms))
    assert (parsed - EPOCH) // timedelta(milliseconds=1) == time_ms


def test_headers_are_cloudevents_binary_mode() -> None:
    headers = record_headers("pay_1-1", "payment.created", 0, "streams-payments", TRACE)
    assert headers["ce_id"] == b"pay_1-1"
    assert headers["ce_type"] == b"payment.created"
    assert headers["ce_time"] == b"1970-01-01T00:00:00.000Z"
    assert headers["traceparent"] == TRACE
    assert "traceparent" not in record_headers("i", "t", 0, "s")


@pytest.mark.parametrize(
    "text", [b"", b"00-ab", b"\xff" * 55, TRACE + b"\r\nx: y", TRACE + b"\n", b"0" * 900_000]
)
def test_a_traceparent_that_is_none_is_left_out(text: bytes) -> None:
    assert "traceparent" not in record_headers("pay_1-1", "payment.created", 0, "app", text)
