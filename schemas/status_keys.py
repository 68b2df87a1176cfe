"""Keys of the status store (Valkey): the status sink writes the documents, the API reads them."""

PAYMENT_PREFIX = "payment:"
COMMAND_PREFIX = "command:"
IDEMPOTENCY_PREFIX = "idempotency:"
RATE_LIMIT_PREFIX = "rate_limit:"


def payment_key(payment_id: str) -> str:
    """Key of a payment's public view."""
    return f"{PAYMENT_PREFIX}{payment_id}"


def command_key(command_id: str) -> str:
    """Key of a command's outcome."""
    return f"{COMMAND_PREFIX}{command_id}"


def idempotency_key_name(merchant_id: str, mode: str, subject: str) -> str:
    """Key of a used idempotency key, bound to its merchant and mode.

    `subject` is the payment id for a create and the command id for any other command.
    """
    return f"{IDEMPOTENCY_PREFIX}{merchant_id}:{mode}:{subject}"
