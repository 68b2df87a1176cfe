"""Which of ClickHouse's errors are about the rows."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.audit.refusals import REBUILD_FENCE, is_refusal


def error(code: int, text: str) -> DatabaseError:
    return DatabaseError(f"Code: {code}. DB::Exception: {text}", code=code)


@pytest.mark.parametrize(
    ("code", "text", "refused"),
    [
        (53, "Type mismatch", True),
        (53, f"Cannot parse '{REBUILD_FENCE}'", True),
        (469, "Constraint `amounts` for table t is violated at row 1", True),
        (469, f"Constraint `{REBUILD_FENCE}` for table t is violated at row 1", False),
        (252, "Too many partitions for single INSERT block", True),
        (252, "Too many parts (3000)", False),
        (60, "Unknown table", False),
    ],
)
def test_only_what_no_repetition_mends_is_a_refusal(code: int, text: str, refused: bool) -> None:
    assert is_refusal(error(code, text)) is refused


def test_an_error_of_the_connection_is_no_refusal() -> None:
    assert not is_refusal(ConnectionError(REBUILD_FENCE))
