"""What the server must know of a statement's text before the engine sees it.

Only the lexical level: literals, quoted names and comments are blanked out, then a few keywords
are looked for. Everything else is the engine's to parse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from devstack.clickhouse_http.errors import (
    INTO_OUTFILE_NOT_ALLOWED,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    refused,
)

# Data may follow an INSERT's FORMAT; its head must be found within this much.
INSERT_HEAD_BYTES_MAX = 256 * 1024

_OPAQUE = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`"""
    r"""|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/""",
    re.DOTALL,
)
_COMMENT_STARTS = ("--", "#", "/*")
# Other ways to open a literal in ClickHouse's lexer: not masked here, so not let through.
_UNMASKED_QUOTE = re.compile(r"[\u2018\u2019\u201c\u201d]|\$\w*\$")
_FORMAT_AT_END = re.compile(
    r"\bFORMAT\s+(\w+)(\s+SETTINGS\b[^;]*)?\s*;?\s*\Z", re.IGNORECASE | re.DOTALL
)
_SETTINGS_THEN_FORMAT_WORD = re.compile(r"\bFORMAT\b", re.IGNORECASE)
_INSERT_WITH_DATA = re.compile(
    r"\A\s*(INSERT\s+INTO\b(?:(?!\b(?:SELECT|VALUES|WITH|WATCH|INFILE)\b).)*?)"
    r"\bFORMAT\s+(\w+)[ \t\f]*;?\r?\n?",
    re.IGNORECASE | re.DOTALL,
)
_NEEDS_SESSION = re.compile(r"\A\s*(SET\s|USE\s|CREATE\s+TEMPORARY\b)", re.IGNORECASE)
_OUTFILE = re.compile(r"\bINTO\s+OUTFILE\b", re.IGNORECASE)
_READS_ROWS = re.compile(r"\A[\s(]*(SELECT|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One statement; `format_name` is the one it names itself, if at its end."""

    text: str
    format_name: str | None
    format_start: int | None
    mentions_format: bool
    reads_rows: bool

    @property
    def without_format(self) -> str:
        """The text up to its trailing FORMAT clause."""
        return self.text if self.format_start is None else self.text[: self.format_start]


@dataclass(frozen=True)
class InsertHead:
    """`INSERT INTO … ` without its FORMAT clause, the format, and where the data begin."""

    text: str
    format_name: str
    data_start: int


def masked(text: str) -> str:
    """The text at the same length with literals as quotes and comments as spaces."""
    return _OPAQUE.sub(_blank, text)


def statement(text: str) -> Statement:
    """Look at one statement; refuses several in one request and what needs a session."""
    seen = masked(text)
    _refuse_unsupported(seen)
    found = _FORMAT_AT_END.search(seen)
    return Statement(
        text=text.rstrip().removesuffix(";"),
        format_name=found.group(1) if found else None,
        format_start=found.start() if found else None,
        mentions_format=_SETTINGS_THEN_FORMAT_WORD.search(seen) is not None,
        reads_rows=_READS_ROWS.match(seen) is not None,
    )


def insert_head(body: bytes) -> InsertHead | None:
    """The head of `INSERT … FORMAT name` with data behind it; None for anything else."""
    start = body[:INSERT_HEAD_BYTES_MAX].decode("latin-1")  # one character a byte
    if not re.match(r"\s*(?:INSERT\b|--|/\*|#)", start, re.IGNORECASE):
        return None
    found = _INSERT_WITH_DATA.match(masked(start))
    if found is None:
        return None
    head = body[: found.end(1)].decode("utf-8")
    return InsertHead(head, found.group(2), found.end())


def _blank(found: re.Match[str]) -> str:
    token = found.group()
    return (" " if token.startswith(_COMMENT_STARTS) else "'") * len(token)


def _refuse_unsupported(seen: str) -> None:
    if ";" in seen.rstrip().removesuffix(";"):
        raise refused(
            SYNTAX_ERROR,
            "SYNTAX_ERROR",
            "Multi-statements are not allowed: send one statement a request.",
        )
    if _UNMASKED_QUOTE.search(seen):
        raise refused(
            SYNTAX_ERROR,
            "SYNTAX_ERROR",
            "Typographic quotes and $heredoc$ literals are not accepted here: use '…'.",
        )
    if _OUTFILE.search(seen):
        raise refused(
            INTO_OUTFILE_NOT_ALLOWED,
            "INTO_OUTFILE_NOT_ALLOWED",
            "INTO OUTFILE is not allowed: read the answer and write the file yourself.",
        )
    if _NEEDS_SESSION.match(seen):
        raise refused(
            NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            "The embedded ClickHouse keeps no session between requests, so SET, USE and temporary"
            " tables have no effect: send settings and database with each request.",
        )
