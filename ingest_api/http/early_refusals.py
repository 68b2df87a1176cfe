"""Refusals of callers above their rate before anything is done for them.

A caller that floods would cost the others most of a request for each refusal. So a caller that was
refused is refused at once until its quota has something again.
"""

import time
from typing import NamedTuple

import msgspec

from ingest_api.http.problems import MEDIA_TYPE, try_again
from ingest_api.limits.limiter import Admission

_CALLERS_MAX = 10_000
Headers = list[tuple[bytes, bytes]]


class Refusal(NamedTuple):
    """A whole answer, and until when it holds (monotonic seconds)."""

    until_seconds: float
    headers: Headers
    body: bytes


def rate_limit_headers(admission: Admission) -> Headers:
    """Fields of draft-ietf-httpapi-ratelimit-headers: the policy, and what is left of it."""
    quota = admission.quota
    policy = f'"default";q={quota.burst};w={quota.window_seconds}'
    state = f'"default";r={admission.remaining};t={admission.reset_after_seconds}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


class EarlyRefusals:
    """Answers to callers, by what they sent as `Authorization`; in memory only."""

    def __init__(self) -> None:
        self._refusals: dict[bytes, Refusal] = {}

    def remember(self, authorization: bytes, admission: Admission) -> None:
        """Refuse this caller until its quota has something again."""
        problem = try_again("rate_limited", admission.retry_after_seconds)
        headers = [
            *rate_limit_headers(admission),
            (b"content-type", MEDIA_TYPE.encode()),
            (b"retry-after", str(admission.retry_after_seconds).encode()),
        ]
        body = msgspec.json.encode(problem.body())
        headers.append((b"content-length", str(len(body)).encode()))
        until = time.monotonic() + admission.pause_seconds
        self._refusals[authorization] = Refusal(until, headers, body)
        if len(self._refusals) > _CALLERS_MAX:
            del self._refusals[next(iter(self._refusals))]

    def find(self, headers: Headers) -> Refusal | None:
        """The refusal that holds for this caller now."""
        if not self._refusals:
            return None
        sent = next((value for name, value in headers if name == b"authorization"), None)
        refusal = None if sent is None else self._refusals.get(sent)
        if sent is None or refusal is None:
            return None
        if time.monotonic() < refusal.until_seconds:
            return refusal
        del self._refusals[sent]
        return None
