"""W3C Trace Context: continue a trace that a caller started, or start one."""

import secrets

from schemas.headers import valid_traceparent


def new_traceparent() -> str:
    """A new trace, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def parse_or_start(traceparent: str | None) -> str:
    """The caller's traceparent if it is valid (W3C Trace Context level 1, §3.2), else a new one."""
    if traceparent is not None and valid_traceparent(traceparent.encode()):
        return traceparent
    return new_traceparent()
