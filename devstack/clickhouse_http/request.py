"""From an HTTP request's target, headers and body to what is asked of the engine."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from urllib.parse import parse_qsl, urlsplit

from devstack.clickhouse_http import compression, native_compression
from devstack.clickhouse_http.answers import Asked
from devstack.clickhouse_http.errors import INCORRECT_DATA, NOT_IMPLEMENTED, SYNTAX_ERROR, refused
from devstack.clickhouse_http.insert_data import Mapped
from devstack.clickhouse_http.sql_text import InsertHead, insert_head
from devstack.clickhouse_http.users import User, authenticate

UNPACKED_BYTES_MAX = 512 * 1024 * 1024
DEFAULT_FORMAT = "TabSeparated"
# Parameters that speak to the HTTP interface; every other one is a setting of the query.
_OF_THE_INTERFACE = frozenset(
    [
        "query",
        "database",
        "user",
        "password",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "default_format",
        "compress",
        "decompress",
        "wait_end_of_query",
        "buffer_size",
        "enable_http_compression",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "client_protocol_version",
        "stacktrace",
    ]
)


Body = bytes | Mapped
"""A request's body; Mapped only if it `inserts` and is nothing but rows."""


@dataclass(frozen=True)
class QueryRequest:
    """One request, understood. `data` follows `insert` when that is set, else `sql` is the text."""

    query_id: str
    asked: Asked
    sql: str
    insert: InsertHead | None
    data: memoryview
    waits_for_end: bool
    accept_encoding: str
    packs_natively: bool = False
    """`compress=1`: the answer is in ClickHouse's own compression."""


def query_parameters(target: str) -> dict[str, str]:
    """The target's query, last one wins."""
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))


def inserts(query: Mapping[str, str]) -> bool:
    """Whether the target's query is an insert's head, so that the body is rows and nothing else."""
    sql = query.get("query", "").encode()
    head = insert_head(sql)
    packed = query.get("decompress") == "1"
    return head is not None and not sql[head.data_start :] and not packed


def read_request(
    users: Mapping[str, User],
    query: Mapping[str, str],
    headers: Message,
    body: Body,
    *,
    writes: bool,
) -> QueryRequest:
    """Understand a request or raise `ClickHouseError`; `writes` is false for GET."""
    user = authenticate(users, headers, query)
    _refuse_unsupported(query, headers)
    if isinstance(body, bytes):
        body = compression.decode(body, headers.get("Content-Encoding", ""), UNPACKED_BYTES_MAX)
        if query.get("decompress") == "1":
            body = native_compression.unpacked(body, UNPACKED_BYTES_MAX)
    sql, head, data = _statement_and_data(query.get("query", ""), body)
    packed = query.get("enable_http_compression") == "1"
    return QueryRequest(
        query_id=query.get("query_id") or str(uuid.uuid4()),
        asked=_asked(user, query, headers, writes=writes),
        sql=sql,
        insert=head,
        data=data,
        waits_for_end=query.get("wait_end_of_query") == "1",
        accept_encoding=headers.get("Accept-Encoding", "") if packed else "",
        packs_natively=query.get("compress") == "1",
    )


def _asked(user: User, query: Mapping[str, str], headers: Message, *, writes: bool) -> Asked:
    default_format = query.get("default_format") or headers.get("X-ClickHouse-Format")
    return Asked(
        user=user,
        database=query.get("database") or headers.get("X-ClickHouse-Database"),
        settings={
            name: value
            for name, value in query.items()
            if name not in _OF_THE_INTERFACE and not name.startswith("param_")
        },
        parameters={
            name.removeprefix("param_"): value
            for name, value in query.items()
            if name.startswith("param_")
        },
        default_format=default_format or DEFAULT_FORMAT,
        writes=writes,
    )


def _statement_and_data(in_target: str, body: Body) -> tuple[str, InsertHead | None, memoryview]:
    """The server reads the target's query and the body as one text, the target's first."""
    if not isinstance(body, bytes):
        return "", insert_head(in_target.encode()), memoryview(body)
    if in_target:
        head = insert_head(in_target.encode())
        if head is not None:
            rest = in_target.encode()[head.data_start :]
            return "", head, memoryview(rest + body)
        body = in_target.encode() + (b"\n" + body if body else b"")
    if not body.strip():
        raise refused(SYNTAX_ERROR, "SYNTAX_ERROR", "Empty query: send SQL as the body or ?query=.")
    head = insert_head(body)
    if head is not None:
        return "", head, memoryview(body)[head.data_start :]
    try:
        return body.decode(), None, memoryview(b"")
    except UnicodeDecodeError as error:
        sentence = f"The query is not UTF-8 text ({error.reason} at byte {error.start})."
        raise refused(INCORRECT_DATA, "INCORRECT_DATA", sentence) from error


def _refuse_unsupported(query: Mapping[str, str], headers: Message) -> None:
    what = ""
    if query.get("role"):
        what = "role: this server has the users `default` and `analyst` and no roles"
    elif headers.get("Content-Type", "").startswith("multipart/"):
        what = "External data in a multipart body: use a table or parameters"
    if what:
        raise refused(
            NOT_IMPLEMENTED, "NOT_IMPLEMENTED", f"{what}; not offered by the embedded one."
        )
