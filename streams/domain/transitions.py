"""The transition table as data: main state x command -> a step of `decide`, or a named rejection.

Refunds and disputes live beside the main state; what they need of it stands here as well.
"""

from typing import NamedTuple

from schemas.enums import CommandKind, EventType, PaymentStatus, RejectionReason


class Step(NamedTuple):
    """A handler by its name in `decide.HANDLERS`, and the events that it may record."""

    handler: str
    events: tuple[EventType, ...]


Cell = Step | RejectionReason

S, K, E = PaymentStatus, CommandKind, EventType

CLAIM = Step("claim", (E.CREATED,))
ALREADY_CLAIMED = Step("already_created", ())
COMPLETE_ACTION = Step("complete_action", (E.ACTION_COMPLETED,))
CAPTURE = Step("capture", (E.CAPTURE_REQUESTED,))
CAPTURE_DUE = Step("capture_due", (E.CAPTURE_REQUESTED,))
VOID = Step("void", (E.VOID_REQUESTED,))
REFUND = Step("refund", (E.REFUND_REQUESTED,))
RESOLVE = Step("resolve_unknown", (E.RESOLUTION_REQUESTED,))
ACTION_TIMED_OUT = Step("action_timed_out", (E.FAILED,))
EXPIRE = Step("expire", (E.EXPIRED,))
SETTLEMENT_DUE = Step("settlement_due", (E.SETTLEMENT_OVERDUE,))
SETTLE = Step("settle", (E.SETTLED,))
OPEN_DISPUTE = Step("open_dispute", (E.DISPUTE_OPENED,))
WIN_DISPUTE = Step("win_dispute", (E.DISPUTE_WON,))
LOSE_DISPUTE = Step("lose_dispute", (E.DISPUTE_LOST,))
RESULT = Step(
    "network_result",
    (
        E.REROUTED,
        E.AUTHORIZED,
        E.CAPTURE_REQUESTED,
        E.REQUIRES_ACTION,
        E.DECLINED,
        E.FAILED,
        E.OUTCOME_UNKNOWN,
        E.CAPTURED,
        E.CAPTURE_FAILED,
        E.VOIDED,
        E.VOID_FAILED,
        E.REFUND_SUCCEEDED,
        E.REFUND_FAILED,
        E.REVERSAL_REQUESTED,
        E.REVERSED,
        E.REVERSAL_FAILED,
    ),
)

_CAPTURABLE_STATUSES = (S.AUTHORIZED, S.PARTIALLY_CAPTURED)
_CAPTURED_STATUSES = (S.PARTIALLY_CAPTURED, S.CAPTURED, S.SETTLED)
_PENDING_STATUSES = (S.AUTHORIZING, S.CAPTURING, S.VOIDING, S.UNKNOWN)
_CREATED = tuple(status for status in S if status is not S.NEW)

_STEPS: dict[CommandKind, tuple[tuple[Step, tuple[PaymentStatus, ...]], ...]] = {
    K.CREATE: ((CLAIM, (S.NEW,)), (ALREADY_CLAIMED, _CREATED)),
    K.COMPLETE_ACTION: ((COMPLETE_ACTION, (S.REQUIRES_ACTION,)),),
    K.CAPTURE: ((CAPTURE, _CAPTURABLE_STATUSES),),
    K.VOID: ((VOID, _CAPTURABLE_STATUSES),),
    K.REFUND: ((REFUND, _CAPTURED_STATUSES),),
    K.NETWORK_RESULT: ((RESULT, _CREATED),),
    K.RESOLVE_UNKNOWN: ((RESOLVE, _CREATED),),
    K.CAPTURE_DUE: ((CAPTURE_DUE, (S.AUTHORIZED,)),),
    K.ACTION_TIMED_OUT: ((ACTION_TIMED_OUT, (S.REQUIRES_ACTION,)),),
    K.EXPIRE: ((EXPIRE, _CAPTURABLE_STATUSES),),
    K.SETTLEMENT_DUE: ((SETTLEMENT_DUE, (S.CAPTURED,)),),
    K.SETTLE: ((SETTLE, (S.CAPTURED,)),),
    K.OPEN_DISPUTE: ((OPEN_DISPUTE, _CAPTURED_STATUSES),),
    K.WIN_DISPUTE: ((WIN_DISPUTE, (*_CAPTURED_STATUSES, S.CAPTURING, S.VOIDING, S.UNKNOWN)),),
    K.LOSE_DISPUTE: ((LOSE_DISPUTE, (*_CAPTURED_STATUSES, S.CAPTURING, S.VOIDING, S.UNKNOWN)),),
}
"""Command -> its steps, each with the states in which it is taken."""


def _refusal(status: PaymentStatus) -> RejectionReason:
    """Why a command without a step is refused: by what the payment is waiting for."""
    if status is S.NEW:
        return RejectionReason.NO_SUCH_PAYMENT
    return (
        RejectionReason.OUTCOME_PENDING
        if status in _PENDING_STATUSES
        else RejectionReason.WRONG_STATE
    )


def cell_of(status: PaymentStatus, kind: CommandKind) -> Cell:
    """What is done with a command in a main state; `TABLE` holds it for every pair."""
    for step, statuses in _STEPS[kind]:
        if status in statuses:
            return step
    return _refusal(status)


TABLE: dict[tuple[str, str], Cell] = {
    (status, kind): cell_of(status, kind) for status in PaymentStatus for kind in CommandKind
}
"""(main state, command kind) -> what is done. There is a cell for every pair."""

FINAL = frozenset({S.VOIDED, S.EXPIRED, S.DECLINED, S.FAILED})
"""Main states in which no money can move any more, but what is taken back (`contradicting`)."""


def table_markdown() -> str:
    """The table for people: a row per command, a column per state, steps in bold."""
    head = "| command | " + " | ".join(f"`{status}`" for status in PaymentStatus) + " |"
    rule = "|---" * (len(PaymentStatus) + 1) + "|"
    return "\n".join([head, rule, *(_row(kind) for kind in CommandKind), "", *_legend()]) + "\n"


def _row(kind: CommandKind) -> str:
    cells = (_cell_text(TABLE[status, kind]) for status in PaymentStatus)
    return f"| `{kind}` | " + " | ".join(cells) + " |"


def _cell_text(cell: Cell) -> str:
    return f"**{cell.handler}**" if isinstance(cell, Step) else str(cell)


def _legend() -> list[str]:
    steps = {cell.handler: cell for cell in TABLE.values() if isinstance(cell, Step)}
    lines = ["| step | events |", "|---|---|"]
    for name, step in steps.items():
        events = ", ".join(f"`{event}`" for event in step.events) or "none: always refused"
        lines.append(f"| **{name}** | {events} |")
    return lines
