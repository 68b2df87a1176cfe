"""The function of each step of the transition table."""

from streams.domain.capture import capture, capture_due, expire, void
from streams.domain.create import already_created, create
from streams.domain.disputes import lose_dispute, open_dispute, win_dispute
from streams.domain.network_results import network_result
from streams.domain.operations import action_timed_out, complete_action, resolve_unknown
from streams.domain.refunds import refund
from streams.domain.settlement import settle, settlement_due
from streams.domain.transition import Handler
from streams.domain.transitions import StepName

HANDLERS: dict[StepName, Handler] = {
    StepName.CREATE: create,
    StepName.ALREADY_CREATED: already_created,
    StepName.COMPLETE_ACTION: complete_action,
    StepName.CAPTURE: capture,
    StepName.CAPTURE_DUE: capture_due,
    StepName.VOID: void,
    StepName.REFUND: refund,
    StepName.RESOLVE_UNKNOWN: resolve_unknown,
    StepName.ACTION_TIMED_OUT: action_timed_out,
    StepName.EXPIRE: expire,
    StepName.SETTLEMENT_DUE: settlement_due,
    StepName.SETTLE: settle,
    StepName.OPEN_DISPUTE: open_dispute,
    StepName.WIN_DISPUTE: win_dispute,
    StepName.LOSE_DISPUTE: lose_dispute,
    StepName.NETWORK_RESULT: network_result,
}
"""Step -> what it does; a step without a function ends at import."""
assert HANDLERS.keys() == set(StepName)
