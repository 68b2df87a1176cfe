"""Postings and break events of a payment's lines (pure)."""

from typing import Any

from msgspec.structs import replace

from schemas.enums import BreakKind, BreakState, Source
from schemas.enums import Operation as Op
from schemas.enums import ReconciliationEventType as Type
from schemas.records import ReconciliationEvent, ReconciliationRequest
from sinks.reconciliation.matching.breaks import (
    Move,
    by_id,
    moved,
    rejection,
    update_breaks,
    with_break,
)
from sinks.reconciliation.matching.outcome import reconciliation_event_id
from sinks.reconciliation.matching.rules import (
    FINAL_POSTINGS,
    MatchingPolicy,
    matched_line,
    matches,
    operation_discrepancies,
)
from sinks.reconciliation.matching.state import Break, Line, OperationMatch, PaymentMatch

_MATCHED_BY_DECISION = (BreakKind.AMOUNT, BreakKind.CURRENCY)
"""Differences after which the line settles the operation, once an operator has closed them."""


class PaymentReconciler:
    """Brings postings and breaks of one payment in line with its facts; collects the events."""

    def __init__(self, match: PaymentMatch, policy: MatchingPolicy, at_ms: int) -> None:
        self.match = match
        self.at_ms = at_ms
        self._policy = policy
        self._events: list[ReconciliationEvent] = []

    def decide(self, request: ReconciliationRequest) -> None:
        """Move a break as an operator decided, or record why not."""
        move = Move(request.break_state or "", request.actor or "", request.reason or "")
        break_id = request.break_id or ""
        for operation in self.match.operations:
            found = by_id(operation.breaks, break_id)
            if found is not None:
                break
        else:
            operation, found = OperationMatch(request.operation_id or ""), None
        reason = rejection(found, move)
        if found is None or reason:
            fields = {"break_id": break_id, "reason": reason, "actor": move.actor or None}
            self._emit(Type.DECISION_REFUSED, operation, None, **fields)
            return
        after = moved(found, move)
        self._replace(replace(operation, breaks=with_break(operation.breaks, after)))
        self._emit_break(operation, after, actor=move.actor, reason=move.reason)

    def reconcile(self) -> list[ReconciliationEvent]:
        """All events that the facts require, in order; `match` is the state after them."""
        for operation_id in [o.operation_id for o in self.match.operations]:
            self._renew_breaks(self._operation(operation_id))
            for line in self._operation(operation_id).lines:
                self._post_line(operation_id, line.line_id)
            for each in self._operation(operation_id).breaks:
                self._write_off(self._operation(operation_id), each)
            self._correct_settlement(self._operation(operation_id))
        return self._events

    # -- steps

    def _renew_breaks(self, operation: OperationMatch) -> None:
        discrepancies = operation_discrepancies(operation, self._policy, self.match.checked_at_ms)
        scope = operation.operation_id
        breaks, changed = update_breaks(operation.breaks, discrepancies, scope, self.at_ms)
        if changed:
            self._replace(replace(operation, breaks=breaks))
        for each in changed:
            self._emit_break(operation, each)

    def _post_line(self, operation_id: str, line_id: str) -> None:
        """Suspended, settled, reclassified: until the line's posting is final."""
        while True:
            operation = self._operation(operation_id)
            [line] = [each for each in operation.lines if each.line_id == line_id]
            step = _next_posting(operation, line)
            if step is None:
                return
            if step == Type.LINE_RECLASSIFIED:
                operation = self._undo_write_off(operation, line)
            event = self._emit(step, operation, line, corrects=line.posting_id or None)
            posted = replace(line, posted=step, posting_id=event.event_id)
            lines = tuple(posted if x.line_id == line_id else x for x in operation.lines)
            self._replace(replace(operation, lines=lines))

    def _write_off(self, operation: OperationMatch, each: Break) -> None:
        if each.state != BreakState.WRITTEN_OFF or each.write_off_event_id:
            return
        line = next((x for x in operation.lines if x.line_id == each.subject), None)
        if line is not None and not line.posted:
            return
        fields: dict[str, Any] = {"corrects": line.posting_id if line else None}
        if line is None:
            fields |= {"gross_minor": 0, "fee_minor": 0}
        elif line.posted in FINAL_POSTINGS:
            fields["fee_minor"] = 0
        else:
            fields["expected_minor"] = 0
        event = self._emit(Type.DIFFERENCE_WRITTEN_OFF, operation, line, **fields)
        written_off = replace(each, write_off_event_id=event.event_id)
        self._replace(replace(operation, breaks=with_break(operation.breaks, written_off)))

    def _undo_write_off(self, operation: OperationMatch, line: Line) -> OperationMatch:
        """Reverse the write-off of a line whose other side came later."""
        for each in operation.breaks:
            if each.subject == line.line_id and each.write_off_event_id:
                self._emit(
                    Type.DIFFERENCE_WRITTEN_OFF,
                    operation,
                    line,
                    gross_minor=-line.gross_minor,
                    fee_minor=-line.fee_minor,
                    expected_minor=0,
                    corrects=each.write_off_event_id,
                )
        return operation

    def _correct_settlement(self, operation: OperationMatch) -> None:
        """Replace the posting of a settlement by another source with the lines' postings."""
        elsewhere = self.match.settled_by not in ("", Source.RECONCILIATION)
        expected = operation.expected
        if not elsewhere or operation.corrected or expected is None or expected.kind != Op.CAPTURE:
            return
        line = next((x for x in operation.lines if x.posted in FINAL_POSTINGS), None)
        if line is not None:
            self._emit(
                Type.SETTLEMENT_CORRECTED, operation, line, corrects=self.match.settled_event_id
            )
            self._replace(replace(operation, corrected=True))

    # -- the match and its events

    def _operation(self, operation_id: str) -> OperationMatch:
        return next(o for o in self.match.operations if o.operation_id == operation_id)

    def _replace(self, changed: OperationMatch) -> None:
        operations = tuple(
            changed if o.operation_id == changed.operation_id else o for o in self.match.operations
        )
        self.match = replace(self.match, operations=operations)

    def _emit_break(self, operation: OperationMatch, each: Break, **fields: Any) -> None:
        line = next((x for x in operation.lines if x.line_id == each.subject), None)
        if line is None:
            line = matched_line(operation)
        kind = Type.BREAK_OPENED if each.version == 1 else Type.BREAK_CHANGED
        self._emit(
            kind,
            operation,
            line,
            break_id=each.break_id,
            break_kind=each.kind,
            break_state=each.state,
            break_version=each.version,
            found_at_ms=each.found_at_ms,
            **({"actor": each.closed_by or None} | fields),
        )

    def _emit(
        self, kind: Type, operation: OperationMatch, line: Line | None, **fields: Any
    ) -> ReconciliationEvent:
        match, expected = self.match, operation.expected
        self.match = replace(match, sequence=match.sequence + 1)
        expected_currency = expected.currency if expected else (line.currency if line else "")
        event = ReconciliationEvent(
            event_id=reconciliation_event_id(match.subject_id, match.sequence + 1),
            subject_id=match.subject_id,
            sequence=match.sequence + 1,
            type=kind,
            occurred_at_ms=self.at_ms,
            merchant_id=match.merchant_id,
            payment_id=match.subject_id if match.merchant_id else "",
            mode=match.mode or self._policy.mode_unknown,
            line_id=line.line_id if line else None,
            report_id=line.report_id if line else None,
            network=line.network if line else None,
            line_kind=line.kind if line else (expected.kind if expected else None),
            operation_id=operation.operation_id,
            network_reference=line.network_reference if line else None,
            currency=line.currency if line else expected_currency,
            gross_minor=line.gross_minor if line else 0,
            fee_minor=line.fee_minor if line else 0,
            expected_currency=expected_currency,
            expected_minor=expected.amount_minor if expected else 0,
        )
        self._events.append(replace(event, **fields) if fields else event)
        return self._events[-1]


def _next_posting(operation: OperationMatch, line: Line) -> Type | None:
    """The next posting of a line; None if there is nothing to post."""
    if not line.paid or line.posted in FINAL_POSTINGS:
        return None
    matched, expected = matched_line(operation), operation.expected
    is_matched = matched is not None and matched.line_id == line.line_id
    fits = is_matched and expected is not None and matches(line, expected)
    if not line.posted:
        return Type.LINE_SETTLED if fits else Type.LINE_SUSPENDED
    return (
        Type.LINE_RECLASSIFIED if fits or (is_matched and _was_decided(operation, line)) else None
    )


def _was_decided(operation: OperationMatch, line: Line) -> bool:
    return any(
        each.subject == line.line_id and each.is_final and each.kind in _MATCHED_BY_DECISION
        for each in operation.breaks
    )
