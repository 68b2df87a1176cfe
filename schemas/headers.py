"""Headers of every record: W3C Trace Context, and CloudEvents' binary mode for Kafka (pure)."""

import re

TRACEPARENT = "traceparent"
CE_ID = "ce_id"
CE_TYPE = "ce_type"
CE_TIME = "ce_time"
CE_SOURCE = "ce_source"
CE_SPECVERSION = "ce_specversion"
CONTENT_TYPE = "content-type"
SIGNATURE_KEY_ID = "signature_key_id"
SIGNATURE = "signature"
SIGNATURE_PATH = "signature_path"

_TRACEPARENT = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_AVRO = b"application/vnd.confluent.avro"


def rfc3339(time_ms: int) -> str:
    """UTC time with milliseconds (RFC 3339), by arithmetic alone."""
    days, ms_of_day = divmod(time_ms, 86_400_000)
    year, month, day = _civil(days)
    seconds, ms = divmod(ms_of_day, 1000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
    return f"{year:04}-{month:02}-{day:02}T{clock}Z"


def _civil(days: int) -> tuple[int, int, int]:
    """Days since 1970-01-01 as year, month, day of the proleptic Gregorian calendar."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return era * 400 + year_of_era + (month <= 2), month, day


def valid_traceparent(text: bytes | None) -> bytes | None:
    """The text if it is a traceparent (W3C Trace Context level 1, §3.2), else None.

    Any writer of a topic sets headers. Only this one goes on into later records and into requests.
    """
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def record_headers(
    record_id: str, record_type: str, time_ms: int, source: str, traceparent: bytes | None = None
) -> dict[str, bytes]:
    """Headers of a record that this system writes; a traceparent that is none is left out."""
    headers = {
        CE_SPECVERSION: b"1.0",
        CE_ID: record_id.encode(),
        CE_TYPE: record_type.encode(),
        CE_TIME: rfc3339(time_ms).encode(),
        CE_SOURCE: source.encode(),
        CONTENT_TYPE: _AVRO,
    }
    if (trace := valid_traceparent(traceparent)) is not None:
        headers[TRACEPARENT] = trace
    return headers
