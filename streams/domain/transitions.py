"""The transition table as data: main state x command -> a step, or a named rejection.

Refunds and disputes live beside the main state; what they need of it stands here as well.
`handlers` maps each step to its function.
"""

from enum import StrEnum
from typing import NamedTuple

from schemas.enums import (
    CommandKind,
    EventType,
    PaymentStatus,
    RejectionReason,
)
from schemas.payment_commands import FACT_COMMAND_KINDS


class StepName(StrEnum):
    """What can be done with a command; `handlers.HANDLERS` has a function for each."""

    CREATE = "create"
    ALREADY_CREATED = "already_created"
    COMPLETE_ACTION = "complete_action"
    CAPTURE = "capture"
    CAPTURE_DUE = "capture_due"
    VOID = "void"
    REFUND = "refund"
    RESOLVE_UNKNOWN = "resolve_unknown"
    ACTION_TIMED_OUT = "action_timed_out"
    EXPIRE = "expire"
    SETTLEMENT_DUE = "settlement_due"
    SETTLE = "settle"
    OPEN_DISPUTE = "open_dispute"
    WIN_DISPUTE = "win_dispute"
    LOSE_DISPUTE = "lose_dispute"
    NETWORK_RESULT = "network_result"


class Step(NamedTuple):
    """A step, and the events that it may record."""

    name: StepName
    events: tuple[EventType, ...]


Cell = Step | RejectionReason

S, K, E, N = PaymentStatus, CommandKind, EventType, StepName

CREATE = Step(N.CREATE, (E.CREATED,))
ALREADY_CREATED = Step(N.ALREADY_CREATED, ())
COMPLETE_ACTION = Step(N.COMPLETE_ACTION, (E.ACTION_COMPLETED,))
CAPTURE = Step(N.CAPTURE, (E.CAPTURE_REQUESTED,))
CAPTURE_DUE = Step(N.CAPTURE_DUE, (E.CAPTURE_REQUESTED,))
VOID = Step(N.VOID, (E.VOID_REQUESTED, E.VOIDED))
REFUND = Step(N.REFUND, (E.REFUND_REQUESTED,))
RESOLVE_UNKNOWN = Step(N.RESOLVE_UNKNOWN, (E.RESOLUTION_REQUESTED,))
ACTION_TIMED_OUT = Step(N.ACTION_TIMED_OUT, (E.RESOLUTION_REQUESTED,))
EXPIRE = Step(N.EXPIRE, (E.EXPIRED,))
SETTLEMENT_DUE = Step(N.SETTLEMENT_DUE, (E.SETTLEMENT_OVERDUE,))
SETTLE = Step(N.SETTLE, (E.SETTLED,))
OPEN_DISPUTE = Step(N.OPEN_DISPUTE, (E.DISPUTE_OPENED,))
WIN_DISPUTE = Step(N.WIN_DISPUTE, (E.DISPUTE_OPENED, E.DISPUTE_WON))
LOSE_DISPUTE = Step(N.LOSE_DISPUTE, (E.DISPUTE_OPENED, E.DISPUTE_LOST))
NETWORK_RESULT = Step(
    N.NETWORK_RESULT,
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
    K.CREATE: ((CREATE, (S.NEW,)), (ALREADY_CREATED, _CREATED)),
    K.COMPLETE_ACTION: ((COMPLETE_ACTION, (S.REQUIRES_ACTION,)),),
    K.CAPTURE: ((CAPTURE, _CAPTURABLE_STATUSES),),
    K.VOID: ((VOID, (S.REQUIRES_ACTION, *_CAPTURABLE_STATUSES)),),
    K.REFUND: ((REFUND, _CAPTURED_STATUSES),),
    K.NETWORK_RESULT: ((NETWORK_RESULT, _CREATED),),
    K.RESOLVE_UNKNOWN: ((RESOLVE_UNKNOWN, _CREATED),),
    K.CAPTURE_DUE: ((CAPTURE_DUE, (S.AUTHORIZED,)),),
    K.ACTION_TIMED_OUT: ((ACTION_TIMED_OUT, (S.REQUIRES_ACTION,)),),
    K.EXPIRE: ((EXPIRE, _CAPTURABLE_STATUSES),),
    K.SETTLEMENT_DUE: ((SETTLEMENT_DUE, (S.CAPTURED,)),),
    K.SETTLE: ((SETTLE, (S.CAPTURED,)),),
    K.OPEN_DISPUTE: ((OPEN_DISPUTE, _CREATED),),
    K.WIN_DISPUTE: ((WIN_DISPUTE, _CREATED),),
    K.LOSE_DISPUTE: ((LOSE_DISPUTE, _CREATED),),
}
"""Command -> its steps, each with the states in which it is allowed."""


def _rejection(status: PaymentStatus) -> RejectionReason:
    """Why a command without a step is rejected: by what the payment is waiting for."""
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
    return _rejection(status)


TABLE: dict[tuple[str, str], Cell] = {
    (status, kind): cell_of(status, kind) for status in PaymentStatus for kind in CommandKind
}
"""(main state, command kind) -> what is done. There is a cell for every pair."""

TERMINAL_STATUSES = frozenset({S.VOIDED, S.EXPIRED, S.DECLINED, S.FAILED})
"""Main states in which no money can move any more, except a reversal (`late_results`)."""


def table_markdown() -> str:
    """The table for people: a row per command, a column per state, steps in bold; facts marked."""
    head = "| command | " + " | ".join(f"`{status}`" for status in PaymentStatus) + " |"
    rule = "|---" * (len(PaymentStatus) + 1) + "|"
    return "\n".join([head, rule, *(_row(kind) for kind in CommandKind), "", *_legend()]) + "\n"


def _row(kind: CommandKind) -> str:
    cells = (_cell_text(TABLE[status, kind]) for status in PaymentStatus)
    label = f"`{kind}` (fact)" if kind in FACT_COMMAND_KINDS else f"`{kind}`"
    return f"| {label} | " + " | ".join(cells) + " |"


def _cell_text(cell: Cell) -> str:
    return f"**{cell.name}**" if isinstance(cell, Step) else str(cell)


def _legend() -> list[str]:
    steps = {cell.name: cell for cell in TABLE.values() if isinstance(cell, Step)}
    lines = ["| step | events |", "|---|---|"]
    for name, step in steps.items():
        events = ", ".join(f"`{event}`" for event in step.events) or "none: always rejected"
        lines.append(f"| **{name}** | {events} |")
    return lines
