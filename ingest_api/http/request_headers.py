"""What request headers mean: idempotency key, preference to wait, bearer token (pure)."""

import re
from collections.abc import Iterable, Sequence

from ingest_api.http.problems import ApiProblem, FieldError, invalid
from schemas.pan import has_card_number

IDEMPOTENCY_KEY = "Idempotency-Key"
ACTOR = "Paystream-Actor"
REASON = "Paystream-Reason"
REASON_CHARACTERS_MAX = 500
_ACTOR = re.compile(r"[\w.@+-]{1,80}", re.ASCII)
_REASON = re.compile(rf"[ -~]{{1,{REASON_CHARACTERS_MAX}}}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PREFERENCE = re.compile(r'\s*(?P<name>[A-Za-z][\w-]*)\s*(?:=\s*"?(?P<value>[^";]*)"?)?\s*(?:;.*)?')
_BEARER = re.compile(r"[Bb]earer +(?P<token>[\x21-\x7e]{8,255})")


def idempotency_key(values: Sequence[str]) -> str:
    """The key as sent: 1 to 255 characters of visible ASCII; without quotes around it.

    With quotes it is the string of draft-ietf-httpapi-idempotency-key-header. Raises ApiProblem
    when it is absent, there twice, malformed, or a card number.
    """
    if len(values) > 1:
        raise invalid(IDEMPOTENCY_KEY, "Idempotency-Key must be there once")
    value = values[0] if values else ""
    if len(value) > 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not value:
        raise ApiProblem("idempotency_key_missing")
    if not _KEY.fullmatch(value):
        raise invalid(
            IDEMPOTENCY_KEY, "Idempotency-Key must be 1 to 255 characters of visible ASCII"
        )
    if has_card_number(value):
        raise card_number_refused(IDEMPOTENCY_KEY)
    return value


def card_number_refused(pointer: str = "") -> ApiProblem:
    """The 422 for a card number in clear; says where, never what."""
    where = (FieldError(pointer, "looks like a card number"),) if pointer else ()
    return ApiProblem("card_number_in_clear", errors=where)


def wait_seconds(values: Iterable[str], seconds_max: float) -> float:
    """How long `Prefer: wait=N` (RFC 7240) asks to wait, at most `seconds_max`; 0 when it does not.

    The first `wait` counts; what is malformed is ignored, as the RFC asks.
    """
    for part in ",".join(values).split(","):
        match = _PREFERENCE.fullmatch(part)
        if match and match["name"].lower() == "wait":
            value = (match["value"] or "").strip()
            return min(float(value), seconds_max) if re.fullmatch(r"[0-9]{1,6}", value) else 0.0
    return 0.0


def bearer_token(value: str | None) -> str:
    """The token of `Authorization: Bearer …`. Raises ApiProblem `unauthenticated`."""
    match = _BEARER.fullmatch(value or "")
    if match is None:
        raise unauthenticated()
    return match["token"]


def unauthenticated() -> ApiProblem:
    """401 with the challenge that RFC 6750 asks for."""
    return ApiProblem("unauthenticated", headers={"WWW-Authenticate": 'Bearer realm="paystream"'})


def actor_name(value: str | None) -> str | None:
    """Which operator acts, for the audit. Raises ApiProblem for what is no name or address."""
    if value is not None and not _ACTOR.fullmatch(value):
        raise invalid(ACTOR, f"{ACTOR} must be a name or address of at most 80 characters")
    if value is not None and has_card_number(value):
        raise card_number_refused(ACTOR)
    return value


def justification(value: str | None) -> str | None:
    """Why an administrative act is done, for the audit. Raises ApiProblem.

    It must be printable ASCII without a card number.
    """
    if value is None:
        return None
    if not _REASON.fullmatch(value):
        raise invalid(
            REASON, f"{REASON} must be 1 to {REASON_CHARACTERS_MAX} printable characters of ASCII"
        )
    if has_card_number(value):
        raise card_number_refused(REASON)
    return value
