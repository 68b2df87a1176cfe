"""A refusal by ClickHouse is distinguished from an outage by its error code.

Rows that are refused are refused again, however often they are sent: the engine splits the batch,
makes a dead letter of each refused record and goes on. Everything else (no answer, no memory, no
right, a table that is not there yet) is repeated until it works: nothing is lost by waiting, and a
whole topic must not become dead letters because a migration is missing.

Source: `src/Common/ErrorCodes.cpp` of ClickHouse.
"""

from clickhouse_connect.driver.exceptions import Error

REFUSED_CODES = {
    6: "CANNOT_PARSE_TEXT",
    9: "SIZES_OF_COLUMNS_DOESNT_MATCH",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    407: "DECIMAL_OVERFLOW",
}
"""The row is at fault: the same row is refused for ever."""
_TOO_MANY_PARTS = 252
_FOR_ONE_BLOCK = "for single INSERT block"
"""Code 252 is both: the table has too many parts for now, and one insert makes too many."""
_VIOLATED_CONSTRAINT = 469
REBUILD_FENCE = "rebuild_fence"
"""The constraint by which a rebuild holds back every insert for a while: no row is at fault."""


def is_refusal(error: Exception) -> bool:
    """Whether the rows themselves are refused, so that sending them again cannot help."""
    if not isinstance(error, Error):
        return False
    if error.code == _VIOLATED_CONSTRAINT:
        return REBUILD_FENCE not in str(error)
    return error.code in REFUSED_CODES or (
        error.code == _TOO_MANY_PARTS and _FOR_ONE_BLOCK in str(error)
    )
