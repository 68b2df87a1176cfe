"""The access log writes whole JSON lines in batches and loses none."""

import asyncio
import io
import json

from ingest_api.http.access_log import AccessLog

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_lines_are_json_and_keep_their_order() -> None:
    stream = io.StringIO()
    access_log = AccessLog(stream)
    for status in (200, 404, 503):
        access_log.add("GET", "/v1/payments/{payment_id:str}", status, 0.00123, TRACE)
    assert stream.getvalue() == ""
    access_log.flush()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [200, 404, 503]
    assert lines[0]["milliseconds"] == 1.23
    assert lines[0]["traceparent"] == TRACE
    assert lines[0]["event"] == "request"


async def test_many_lines_are_not_kept_back() -> None:
    stream = io.StringIO()
    access_log = AccessLog(stream)
    for _ in range(1001):
        access_log.add("GET", "/x", 200, 0.0, TRACE)
    assert len(stream.getvalue().splitlines()) == 1000
    access_log.flush()
    assert len(stream.getvalue().splitlines()) == 1001


async def test_a_few_lines_come_by_themselves() -> None:
    written = asyncio.Event()

    class Watched(io.StringIO):
        def flush(self) -> None:
            written.set()

    stream = Watched()
    AccessLog(stream).add("GET", "/x", 200, 0.0, TRACE)
    async with asyncio.timeout(20):
        await written.wait()
    assert stream.getvalue().endswith("\n")
