"""W3C Trace Context: continue a trace that a caller started, or start one."""

import re
import secrets

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def new_traceparent() -> str:
    """A new trace, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def parse_or_start(traceparent: str | None) -> str:
    """The caller's traceparent if it is valid (W3C Trace Context level 1, §3.2), else a new one."""
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        return traceparent
    return new_traceparent()
