"""Problems that the API answers with (RFC 9457), listed in docs/producers/errors.md."""

from typing import NamedTuple


class Problem(NamedTuple):
    """A stable problem type; `code` ends its URI, `advice` says what the producer should do."""

    code: str
    status: int
    title: str
    advice: str


CATALOGUE: dict[str, Problem] = {
    problem.code: problem
    for problem in (
        Problem("invalid_request", 400, "The request is not valid", "Mend the named field."),
        Problem("idempotency_key_missing", 400, "Idempotency-Key is missing", "Send a unique key."),
        Problem("unauthenticated", 401, "No valid API key", "Send Authorization: Bearer sk_…"),
        Problem("forbidden", 403, "This key may not do that", "Use a key with the needed role."),
        Problem("not_found", 404, "No such resource", "Check the id and the key's mode."),
        Problem("body_too_large", 413, "The body is too large", "Send less than 64 KiB."),
        Problem(
            "card_number_in_clear",
            422,
            "A card number in clear was refused",
            "Encrypt card data to the key at /.well-known/jwks.json before you send it.",
        ),
        Problem(
            "idempotency_mismatch",
            422,
            "The Idempotency-Key was used with another body",
            "Use a new key for a new request.",
        ),
        Problem("rate_limited", 429, "Too many requests", "Retry after the Retry-After header."),
        Problem(
            "overloaded", 503, "The pipeline is not taking commands", "Retry the same request."
        ),
        Problem("read_unavailable", 503, "The read store is not there", "Retry the same request."),
    )
}
