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
        Problem("invalid_request", 400, "The request is not valid", "Fix the named field."),
        Problem("idempotency_key_missing", 400, "Idempotency-Key is missing", "Send a unique key."),
        Problem("unauthenticated", 401, "No valid API key", "Send Authorization: Bearer sk_…"),
        Problem("forbidden", 403, "This key may not do that", "Use a key with the needed role."),
        Problem("not_found", 404, "No such resource", "Check the id and the key's mode."),
        Problem("method_not_allowed", 405, "Not this method", "See /openapi.json for what is."),
        Problem(
            "wrong_state",
            409,
            "The payment's state does not allow this",
            "Get the payment, and decide again from its status.",
        ),
        Problem(
            "outcome_pending",
            409,
            "An earlier operation has no outcome yet",
            "Wait for its webhook, then send a new request.",
        ),
        Problem("already_exists", 409, "The payment exists already", "Get the payment."),
        Problem(
            "command_rejected",
            409,
            "The payment refused the command",
            "Get the payment: last_command has the reason.",
        ),
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
        Problem(
            "amount_too_large",
            422,
            "The amount is larger than what is left",
            "Get the payment: it says what is authorized, captured and refunded.",
        ),
        Problem("amount_invalid", 422, "The amount is not valid", "Send minor units above 0."),
        Problem("currency_invalid", 422, "The currency is not valid", "Use the payment's."),
        Problem("rate_limited", 429, "Too many requests", "Retry after the Retry-After header."),
        Problem("internal", 500, "A fault on our side", "Retry the same request, then report it."),
        Problem(
            "overloaded", 503, "The pipeline is not taking commands", "Retry the same request."
        ),
        Problem("starting", 503, "The API has just started", "Retry the same request."),
        Problem("read_unavailable", 503, "The read store is not there", "Retry the same request."),
        Problem("network_unavailable", 503, "The card network does not answer", "Retry later."),
    )
}
