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
        Problem("invalid_request", 400, "The request is not valid", "Correct the named field."),
        Problem("idempotency_key_missing", 400, "Idempotency-Key is missing", "Send a unique key."),
        Problem(
            "unauthenticated",
            401,
            "The API key is missing or not valid",
            "Send Authorization: Bearer sk_…",
        ),
        Problem(
            "forbidden", 403, "The API key does not permit this", "Use a key with the needed role."
        ),
        Problem(
            "scope_missing",
            403,
            "The API key lacks a scope",
            "Use a key with the scope that is named, or issue one: POST /v1/api_keys.",
        ),
        Problem(
            "not_found", 404, "The resource does not exist", "Check the id and the key's mode."
        ),
        Problem(
            "method_not_allowed",
            405,
            "The method is not allowed",
            "See /openapi.json for the methods of this path.",
        ),
        Problem(
            "wrong_state",
            409,
            "The payment's state does not allow this",
            "Get the payment, then send a request that its status allows.",
        ),
        Problem(
            "outcome_pending",
            409,
            "An earlier operation has no outcome yet",
            "Wait for its webhook, then send a new request.",
        ),
        Problem("already_exists", 409, "It exists already", "Get the one that exists."),
        Problem(
            "command_rejected",
            409,
            "The payment rejected the command",
            "Get the payment. Its last_command has the reason.",
        ),
        Problem(
            "too_many_keys",
            409,
            "The merchant has as many keys as it may have",
            "Revoke a key of this mode, then send the request again.",
        ),
        Problem(
            "too_many_endpoints",
            409,
            "The merchant has as many webhook endpoints as it may have",
            "Remove an endpoint, then send the request again.",
        ),
        Problem("body_too_large", 413, "The body is too large", "Send less than 64 KiB."),
        Problem(
            "unsupported_media_type",
            415,
            "The body is not JSON in UTF-8",
            "Send Content-Type: application/json and an uncompressed body.",
        ),
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
            "Get the payment. It shows what is authorized, captured and refunded.",
        ),
        Problem("amount_invalid", 422, "The amount is not valid", "Send minor units above 0."),
        Problem(
            "currency_invalid", 422, "The currency is not valid", "Use the payment's currency."
        ),
        Problem("rate_limited", 429, "Too many requests", "Retry after the Retry-After header."),
        Problem(
            "internal",
            500,
            "The API failed",
            "Retry the same request. Report the problem if it stays.",
        ),
        Problem(
            "overloaded", 503, "The pipeline accepts no commands now", "Retry the same request."
        ),
        Problem("starting", 503, "The API has just started", "Retry the same request."),
        Problem(
            "read_unavailable", 503, "The read store is unavailable", "Retry the same request."
        ),
        Problem("network_unavailable", 503, "The card network does not answer", "Retry later."),
    )
}
