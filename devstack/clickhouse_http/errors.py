"""Errors as ClickHouse gives them: a code, a sentence, and the HTTP status that goes with it."""

from __future__ import annotations

import re

SYNTAX_ERROR = 62
NOT_IMPLEMENTED = 48
READONLY = 164
CANNOT_PARSE_NUMBER = 72
TOO_MANY_SIMULTANEOUS_QUERIES = 202
INTO_OUTFILE_NOT_ALLOWED = 358
INCORRECT_DATA = 117
TOO_LARGE = 307  # TOO_MANY_BYTES
CANNOT_DECOMPRESS = 271
UNKNOWN_COMPRESSION_METHOD = 89
UNKNOWN_EXCEPTION = 1002
ACCESS_DENIED = 497
AUTHENTICATION_FAILED = 516

_CODE = re.compile(r"Code: (\d+)\. ")

# As in the server's HTTPHandler: what the client sent is wrong, names that do not exist, and so on.
_STATUS_OF_CODE = {
    **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 42, 53, 62, 69, 72, 117, 130, 167, 168, 456), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115), 404),
    **dict.fromkeys((192, 193, ACCESS_DENIED, AUTHENTICATION_FAILED), 403),
    194: 401,
    209: 408,
    TOO_LARGE: 413,
    NOT_IMPLEMENTED: 501,
    TOO_MANY_SIMULTANEOUS_QUERIES: 503,
}


class ClickHouseError(Exception):
    """An error for the client: `code` as in ClickHouse's list, `str()` the whole message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def http_status(self) -> int:
        """The status that the real server answers with; 500 for most codes."""
        return _STATUS_OF_CODE.get(self.code, 500)


def refused(code: int, name: str, sentence: str) -> ClickHouseError:
    """An error of our own in the form of the engine's."""
    return ClickHouseError(code, f"Code: {code}. DB::Exception: {sentence} ({name})")


def from_engine(error: BaseException) -> ClickHouseError:
    """The engine's message with the code read from it (the innermost repetition is dropped)."""
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        message = f"Code: {UNKNOWN_EXCEPTION}. DB::Exception: {text} (UNKNOWN_EXCEPTION)"
        return ClickHouseError(UNKNOWN_EXCEPTION, message)
    return ClickHouseError(int(found.group(1)), text[found.start() :].strip())
