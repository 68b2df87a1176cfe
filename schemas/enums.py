"""The enumerated values in records.

Records carry plain strings, so that a reader of an older version survives a new word; code compares
with these members.
"""

from enum import StrEnum


class Mode(StrEnum):
    """Test and live money never meet: the mode is part of every payment id."""

    TEST = "test"
    LIVE = "live"


class Source(StrEnum):
    """Who issued a command."""

    API = "api"
    PRODUCER = "producer"
    NETWORK = "network"
    NETWORK_NOTIFICATION = "network_notification"
    DEADLINES = "deadlines"
    OPERATOR = "operator"
    BANK = "bank"
    RECONCILIATION = "reconciliation"
    ARCHIVE = "archive"
    HISTORY = "history"


SYSTEM_SOURCES = frozenset(
    {Source.NETWORK, Source.NETWORK_NOTIFICATION, Source.DEADLINES, Source.RECONCILIATION}
)
"""Issuers of commands that the system sends to itself: no caller waits for their outcome.

Such commands have no outcome document. This is about who issued a command; what a payment remembers
depends on its kind instead: SYSTEM_COMMAND_KINDS. An operator's `resolve_unknown` is of such a kind
and has an outcome document.
"""


class Scope(StrEnum):
    """What an API key may do; a route names the one that it needs."""

    READ = "read"
    WRITE = "write"
    REFUNDS = "refunds"
    PAYOUTS = "payouts"


class MerchantStatus(StrEnum):
    """Whether a merchant may do anything. Suspended ends by a decision, closed never does."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class CaptureMethod(StrEnum):
    """Automatic captures as soon as the payment is authorized; manual waits for the merchant."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class CommandKind(StrEnum):
    """What can be asked of a payment."""

    CREATE = "create"
    COMPLETE_ACTION = "complete_action"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    NETWORK_RESULT = "network_result"
    RESOLVE_UNKNOWN = "resolve_unknown"
    CAPTURE_DUE = "capture_due"
    ACTION_TIMED_OUT = "action_timed_out"
    EXPIRE = "expire"
    SETTLEMENT_DUE = "settlement_due"
    SETTLE = "settle"
    OPEN_DISPUTE = "open_dispute"
    WIN_DISPUTE = "win_dispute"
    LOSE_DISPUTE = "lose_dispute"


SYSTEM_COMMAND_KINDS = frozenset(
    {
        CommandKind.NETWORK_RESULT,
        CommandKind.RESOLVE_UNKNOWN,
        CommandKind.CAPTURE_DUE,
        CommandKind.ACTION_TIMED_OUT,
        CommandKind.EXPIRE,
        CommandKind.SETTLEMENT_DUE,
    }
)
"""Kinds that repeat in the life of a payment, which remembers only the last few of them.

Such a command, from any issuer, does not count against a payment's limit of commands. Who waits
for an outcome depends on the issuer instead: SYSTEM_SOURCES. Reconciliation's `settle` is not of
such a kind: a payment remembers it permanently, and no one waits for its outcome.
"""


class ArchiveCommandKind(StrEnum):
    """Commands about where a payment is kept; they change nothing about it and have no event."""

    ARCHIVE = "archive"
    HISTORY = "history"


class Network(StrEnum):
    """Card networks by role; records leave the first one out."""

    PRIMARY = "primary"
    FALLBACK = "fallback"


class PaymentStatus(StrEnum):
    """Main state of a payment."""

    NEW = "new"
    AUTHORIZING = "authorizing"
    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    CAPTURING = "capturing"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    SETTLED = "settled"
    VOIDING = "voiding"
    VOIDED = "voided"
    EXPIRED = "expired"
    DECLINED = "declined"
    FAILED = "failed"
    UNKNOWN = "unknown"


class EventType(StrEnum):
    """What can happen to a payment; also the `type` of webhooks."""

    CREATED = "payment.created"
    REQUIRES_ACTION = "payment.requires_action"
    ACTION_COMPLETED = "payment.action_completed"
    REROUTED = "payment.rerouted"
    AUTHORIZED = "payment.authorized"
    DECLINED = "payment.declined"
    FAILED = "payment.failed"
    OUTCOME_UNKNOWN = "payment.outcome_unknown"
    RESOLUTION_REQUESTED = "payment.resolution_requested"
    CAPTURE_REQUESTED = "payment.capture_requested"
    CAPTURED = "payment.captured"
    CAPTURE_FAILED = "payment.capture_failed"
    VOID_REQUESTED = "payment.void_requested"
    VOIDED = "payment.voided"
    VOID_FAILED = "payment.void_failed"
    EXPIRED = "payment.expired"
    SETTLED = "payment.settled"
    SETTLEMENT_OVERDUE = "payment.settlement_overdue"
    REVERSAL_REQUESTED = "payment.reversal_requested"
    REVERSED = "payment.reversed"
    REVERSAL_FAILED = "payment.reversal_failed"
    REFUND_REQUESTED = "refund.requested"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    COMMAND_REJECTED = "command.rejected"


class Operation(StrEnum):
    """What the card network can be asked."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"
    STATUS = "status"


class Reversal(StrEnum):
    """What takes back an operation that was recorded as not done and had taken effect all the same.

    The network is asked for a void of the authorization, or for a refund of the capture.
    """

    AUTHORIZE = "reverse_authorize"
    CAPTURE = "reverse_capture"


class Outcome(StrEnum):
    """How a network operation ended; unknown means that money may have moved.

    Not processed: the network certainly did not receive it, so another one may be called.
    """

    APPROVED = "approved"
    DECLINED = "declined"
    REQUIRES_ACTION = "requires_action"
    UNKNOWN = "unknown"
    FAILED = "failed"
    NOT_PROCESSED = "not_processed"


class DeclineCode(StrEnum):
    """Why the issuer declined, in our own stable codes."""

    GENERIC = "generic_decline"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    EXPIRED_CARD = "expired_card"
    AUTHENTICATION_FAILED = "authentication_failed"
    CARD_NOT_READABLE = "card_not_readable"


class RejectionReason(StrEnum):
    """Why a command was refused; the `reason` of `command.rejected`."""

    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    NO_SUCH_PAYMENT = "no_such_payment"
    ALREADY_EXISTS = "already_exists"
    WRONG_STATE = "wrong_state"
    AMOUNT_TOO_LARGE = "amount_too_large"
    AMOUNT_INVALID = "amount_invalid"
    CURRENCY_INVALID = "currency_invalid"
    OUTCOME_PENDING = "outcome_pending"
    STALE_RESULT = "stale_result"
    CONFLICTING_RESULT = "conflicting_result"
    NO_SUCH_REFUND = "no_such_refund"
    NO_SUCH_DISPUTE = "no_such_dispute"
    UNKNOWN_KIND = "unknown_kind"
    FIELD_INVALID = "field_invalid"
    PAYMENT_ID_MISMATCH = "payment_id_mismatch"
    NOT_DUE = "not_due"
    TOO_MANY_COMMANDS = "too_many_commands"
    UNDECODABLE = "undecodable"
    KEY_MISMATCH = "key_mismatch"
    WRONG_PARTITION = "wrong_partition"
    KIND_NOT_ACCEPTED = "kind_not_accepted"
    TIME_OUT_OF_BOUNDS = "time_out_of_bounds"
    CARD_NUMBER_IN_CLEAR = "card_number_in_clear"
    CARD_NOT_ENCRYPTED = "card_not_encrypted"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    COMMAND_ID_MISMATCH = "command_id_mismatch"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    KEY_NOT_GRANTED = "key_not_granted"
    MERCHANT_SUSPENDED = "merchant_suspended"
    MODE_NOT_ALLOWED = "mode_not_allowed"
    NO_SUCH_MERCHANT = "no_such_merchant"
    NO_SUCH_ENDPOINT = "no_such_endpoint"
    TOO_MANY_ENDPOINTS = "too_many_endpoints"
    NO_SUCH_KEY = "no_such_key"
    TOO_MANY_KEYS = "too_many_keys"


class MerchantCommandKind(StrEnum):
    """What can be asked of a merchant's registration."""

    REGISTER = "register"
    ISSUE_API_KEY = "issue_api_key"
    REVOKE_API_KEY = "revoke_api_key"
    ROTATE_API_KEY = "rotate_api_key"
    ADD_PRODUCER_KEY = "add_producer_key"
    REMOVE_PRODUCER_KEY = "remove_producer_key"
    SET_STATUS = "set_status"
    SET_MODES = "set_modes"
    SET_LIMITS = "set_limits"
    ADD_ENDPOINT = "add_endpoint"
    REMOVE_ENDPOINT = "remove_endpoint"
    ROTATE_SECRET = "rotate_secret"  # noqa: S105 - the name of a command
    SET_FEES = "set_fees"
    SET_PAYOUTS = "set_payouts"


class MerchantEventType(StrEnum):
    """What can happen to a merchant's registration."""

    REGISTERED = "merchant.registered"
    API_KEY_ISSUED = "merchant.api_key_issued"
    API_KEY_REVOKED = "merchant.api_key_revoked"
    API_KEY_ROTATED = "merchant.api_key_rotated"
    PRODUCER_KEY_ADDED = "merchant.producer_key_added"
    PRODUCER_KEY_REMOVED = "merchant.producer_key_removed"
    STATUS_SET = "merchant.status_set"
    MODES_SET = "merchant.modes_set"
    LIMITS_SET = "merchant.limits_set"
    ENDPOINT_ADDED = "merchant.endpoint_added"
    ENDPOINT_REMOVED = "merchant.endpoint_removed"
    SECRET_ROTATED = "merchant.secret_rotated"  # noqa: S105 - the name of an event
    FEES_SET = "merchant.fees_set"
    PAYOUTS_SET = "merchant.payouts_set"
    COMMAND_REJECTED = "merchant.command_rejected"


class PayoutRequestKind(StrEnum):
    """What can be asked of a merchant's payouts."""

    CLOSE = "close"
    BANK_RESULT = "bank_result"


class PayoutOutcome(StrEnum):
    """What the bank made of an instruction."""

    PAID = "paid"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class PayoutEventType(StrEnum):
    """What can happen to a payout."""

    CREATED = "payout.created"
    PAID = "payout.paid"
    FAILED = "payout.failed"
    CARRIED_FORWARD = "payout.carried_forward"


class BankLineKind(StrEnum):
    """What a booking on our bank account is."""

    DEPOSIT = "deposit"
    PAYOUT = "payout"


class ReconciliationRequestKind(StrEnum):
    """Requests that reconciliation sends to itself, and operators' decisions."""

    LINE = "line"
    REPORT_LINE = "report_line"
    DEPOSIT = "deposit"
    NOTIFY_LINES = "notify_lines"
    REPORT_PAID = "report_paid"
    CHECK_OVERDUE = "check_overdue"
    DECIDE = "decide"


class ReconciliationEventType(StrEnum):
    """What reconciliation does; all but those of breaks and `deposit.matched` move money."""

    LINE_SETTLED = "line.settled"
    LINE_SUSPENDED = "line.suspended"
    LINE_RECLASSIFIED = "line.reclassified"
    DEPOSIT_MATCHED = "deposit.matched"
    DEPOSIT_SUSPENDED = "deposit.suspended"
    DEPOSIT_RECLASSIFIED = "deposit.reclassified"
    DIFFERENCE_WRITTEN_OFF = "difference.written_off"
    SETTLEMENT_CORRECTED = "settlement.corrected"
    BREAK_OPENED = "break.opened"
    BREAK_CHANGED = "break.changed"
    DECISION_REFUSED = "decision.refused"


class BreakKind(StrEnum):
    """How two sides differ; here is what we know, there is the network or the bank."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_IN_REPORT = "missing_in_report"
    AMOUNT = "amount"
    CURRENCY = "currency"
    DUPLICATE = "duplicate"
    LATE = "late"


class BreakState(StrEnum):
    """State of a break; the last two are final."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    WRITTEN_OFF = "written_off"


class AttemptResult(StrEnum):
    """How one webhook attempt ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    EXHAUSTED = "exhausted"


class DeadLetterReason(StrEnum):
    """Why a record could not be processed."""

    UNDECODABLE = "undecodable"
    HANDLER_FAILED = "handler_failed"
    CALL_FAILED = "call_failed"
    DELIVERY_EXPIRED = "delivery_expired"
    DELIVERY_REFUSED = "delivery_refused"


class DeadLetterDecision(StrEnum):
    """What an operator decided about a dead letter: reason code of the record that says so."""

    REPLAYED = "replayed"
    DROPPED = "dropped"
