"""One HTTP connection: read a request, ask the engine, write the answer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from itertools import chain
from typing import cast
from urllib.parse import urlsplit

from devstack.clickhouse_http import answers, insert_data, responses, sql_text
from devstack.clickhouse_http.compression import Encoder, encoder_for
from devstack.clickhouse_http.errors import TOO_LARGE, ClickHouseError, refused
from devstack.clickhouse_http.native_compression import NativeEncoder
from devstack.clickhouse_http.request import (
    Body,
    QueryRequest,
    inserts,
    query_parameters,
    read_request,
)
from devstack.clickhouse_http.server import ClickHouseServer

BODY_BYTES_MAX = 256 * 1024 * 1024
# An answer up to this size is sent whole, with its length, and its errors with their status.
HELD_BYTES_MAX = 1024 * 1024
# With wait_end_of_query the whole answer is kept before the first byte; beyond this on disk.
HELD_IN_MEMORY_BYTES_MAX = 32 * 1024 * 1024
CHUNK_LINE_BYTES_MAX = 1024
# Rows of an insert beyond this size are read from the socket into the file that the engine reads.
MAPPED_BYTES_MIN = 1024 * 1024
SOCKET_TIMEOUT_SECONDS = 600


class Handler(BaseHTTPRequestHandler):
    """GET and POST on `/`, GET `/ping`."""

    protocol_version = "HTTP/1.1"
    timeout = SOCKET_TIMEOUT_SECONDS
    disable_nagle_algorithm = True
    wbufsize = 256 * 1024

    def do_GET(self) -> None:
        """Queries that only read, and `/ping`."""
        path = urlsplit(self.path).path
        if path in ("/ping", "/replicas_status"):
            self._send_plain(HTTPStatus.OK, b"Ok.\n")
        elif path == "/":
            self._serve(writes=False)
        else:
            self._send_plain(HTTPStatus.NOT_FOUND, b"There is / for queries and /ping.\n")

    def do_POST(self) -> None:
        """Any statement."""
        self._serve(writes=True)

    def log_message(self, format: str, *args: object) -> None:
        """One line a request would be most of the log; errors are answered to who asked."""

    def _serve(self, *, writes: bool) -> None:
        query = query_parameters(self.path)
        with self._owner.request_running() as accepted:
            try:
                body = self._read_body(query)
                if not accepted:
                    self.close_connection = True
                    raise refused(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "The server is stopping.")
                users, headers = self._owner.users, self.headers
                request = read_request(users, query, headers, body, writes=writes)
                del body
                self._answer(request)
            except ClickHouseError as error:
                self._send_error_answer(error, query.get("query_id", ""))
            except ConnectionError:
                self.close_connection = True  # the client went away

    @property
    def _owner(self) -> ClickHouseServer:
        return cast(ClickHouseServer, self.server)

    def _answer(self, request: QueryRequest) -> None:
        if request.insert is not None:
            engine, insert = self._owner.engine, request.insert
            done = answers.insert(engine, request.asked, insert, request.data)
            self._head(request, insert.format_name, done, {"Content-Length": "0"})
            self.wfile.flush()
            return
        statement = sql_text.statement(request.sql)
        summary = answers.Summary()
        format_name = answers.format_of(request.asked, statement)
        answer = answers.answer(self._owner.engine, request.asked, statement, summary)
        with closing(answer) as pieces:
            self._send_pieces(request, format_name, pieces, summary)

    def _send_pieces(
        self,
        request: QueryRequest,
        format_name: str,
        pieces: Iterator[bytes],
        summary: answers.Summary,
    ) -> None:
        if request.waits_for_end:
            with tempfile.SpooledTemporaryFile(HELD_IN_MEMORY_BYTES_MAX) as held:
                for piece in pieces:
                    held.write(piece)
                held.seek(0)
                kept = iter(lambda: held.read(HELD_BYTES_MAX), b"")
                self._send_held_first(request, format_name, kept, summary)
        else:
            self._send_held_first(request, format_name, pieces, summary)

    def _send_held_first(
        self,
        request: QueryRequest,
        format_name: str,
        pieces: Iterator[bytes],
        summary: answers.Summary,
    ) -> None:
        held: list[bytes] = []
        size = 0
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > HELD_BYTES_MAX:
                self._send_chunked(request, format_name, chain(held, pieces), summary)
                return
        self._send_whole(request, format_name, b"".join(held), summary)

    def _send_whole(
        self, request: QueryRequest, format_name: str, body: bytes, summary: answers.Summary
    ) -> None:
        extra: dict[str, str] = {}
        packing = _packing(request)
        if packing and body:
            name, encoder = packing
            body = encoder.compress(body) + encoder.flush()
            extra |= {"Content-Encoding": name} if name else {}
        self._head(request, format_name, summary, {**extra, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _send_chunked(
        self,
        request: QueryRequest,
        format_name: str,
        pieces: Iterator[bytes],
        summary: answers.Summary,
    ) -> None:
        tag = responses.new_exception_tag()
        packing = _packing(request)
        extra = {"X-ClickHouse-Exception-Tag": tag}
        if packing and packing[0]:
            extra["Content-Encoding"] = packing[0]
        self._head(request, format_name, summary, {**extra, "Transfer-Encoding": "chunked"})
        for piece in _ended_by_error(pieces, tag):
            self._send_chunk(packing[1].compress(piece) if packing else piece)
        if packing:
            self._send_chunk(packing[1].flush())
        self.wfile.write(responses.LAST_CHUNK)
        self.wfile.flush()

    def _send_chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(responses.chunk(data))

    def _head(
        self,
        request: QueryRequest,
        format_name: str,
        summary: answers.Summary,
        extra: dict[str, str],
    ) -> None:
        self.send_response(HTTPStatus.OK)
        facts = self._owner.facts
        headers = {
            "Content-Type": responses.content_type(format_name),
            "X-ClickHouse-Server-Display-Name": facts.display_name,
            "X-ClickHouse-Query-Id": request.query_id,
            "X-ClickHouse-Format": format_name,
            "X-ClickHouse-Timezone": facts.timezone,
            "X-ClickHouse-Summary": summary.as_json(),
        }
        for name, value in (headers | extra).items():
            self.send_header(name, _one_line(value))
        self.end_headers()

    def _send_error_answer(self, error: ClickHouseError, query_id: str) -> None:
        extra = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id}
        body = f"{error} (version {self._owner.engine.version} (embedded))\n".encode()
        self._send_plain(HTTPStatus(error.http_status), body, extra)

    def _send_plain(
        self, status: HTTPStatus, body: bytes, extra: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (extra or {}).items():
            self.send_header(name, _one_line(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _read_body(self, query: Mapping[str, str]) -> Body:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks()
        size = int(self.headers.get("Content-Length") or 0)
        self._refuse_size(size)
        plain = not self.headers.get("Content-Encoding")
        if size >= MAPPED_BYTES_MIN and insert_data.CAN_MAP and plain and inserts(query):
            return insert_data.received(size, self.rfile.readinto)
        return self._read_exactly(size)

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline(CHUNK_LINE_BYTES_MAX).split(b";")[0] or b"0", 16):
            self._refuse_size(len(body) + size)
            body += self._read_exactly(size)
            self.rfile.readline(CHUNK_LINE_BYTES_MAX)
        self.rfile.readline(CHUNK_LINE_BYTES_MAX)
        return bytes(body)

    def _read_exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("the client closed in the middle of its request")
        return data

    def _refuse_size(self, size: int) -> None:
        if size > BODY_BYTES_MAX:
            self.close_connection = True
            limit = f"A request body of {size} bytes is over the limit of {BODY_BYTES_MAX}."
            raise refused(TOO_LARGE, "TOO_MANY_BYTES", f"{limit} Send smaller inserts.")


def _packing(request: QueryRequest) -> tuple[str | None, Encoder] | None:
    """The content encoding and its encoder; `compress=1` is no content encoding."""
    if request.packs_natively:
        return None, NativeEncoder()
    return encoder_for(request.accept_encoding)


def _ended_by_error(pieces: Iterator[bytes], tag: str) -> Iterator[bytes]:
    try:
        yield from pieces
    except ClickHouseError as error:
        yield responses.exception_block(error, tag)


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
