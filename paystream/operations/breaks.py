"""Differences that reconciliation found, and moving them (`paystream breaks`).

A decision is a record of `reconciliation.requests`; the worker answers with an event that says who
moved the break and why, and with the ledger transactions that follow.
"""

from __future__ import annotations

import time
from typing import Any

from paystream.operations.decision_producer import send_in_order
from runtime.clock import now_ms
from runtime.id_generator import new_id
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from schemas.audit_outcomes import AuditOutcome
from schemas.codec import UndecodableRecord, decode
from schemas.enums import BreakState, ReconciliationEventType, Source
from schemas.enums import ReconciliationRequestKind as Kind
from schemas.envelopes import to_message
from schemas.records import AuditAction, ReconciliationEvent, ReconciliationRequest
from schemas.topics import RECONCILIATION_EVENTS

ANSWER_SECONDS_MAX = 30.0
REASON_CHARACTERS_MAX = 500
_CHECK_SECONDS = 0.3
_CLOSED = (BreakState.RESOLVED, BreakState.WRITTEN_OFF)


class BreakTransitionFailed(Exception):
    """The break is unchanged, or the worker did not respond; the message says what to do."""


def breaks(kafka: KafkaConnection, *, closed: bool = False) -> list[ReconciliationEvent]:
    """The newest event of each break, oldest break first; those that are closed on request.

    Raises TopicUnreadable.
    """
    found = [event for event in _newest(kafka) if closed or event.break_state not in _CLOSED]
    return sorted(found, key=lambda event: (event.found_at_ms or 0, event.break_id or ""))


def described(event: ReconciliationEvent) -> dict[str, Any]:
    """One line of the list: JSON as it is."""
    return {
        "id": event.break_id,
        "kind": event.break_kind,
        "state": event.break_state,
        "level": "operation" if event.operation_id else "report",
        "of": event.operation_id or event.report_id,
        "expected": f"{event.expected_minor} {event.expected_currency}",
        "reported": f"{event.gross_minor} {event.currency}",
        "age_seconds": max(0, now_ms() - (event.found_at_ms or 0)) // 1000,
        "actor": event.actor,
        "reason": event.reason,
        "line_id": event.line_id,
        "report_id": event.report_id,
    }


def move(
    kafka: KafkaConnection, break_id: str, state: BreakState, actor: str, reason: str
) -> ReconciliationEvent:
    """Move one break and wait for the worker's answer.

    Raises BreakTransitionFailed, DecisionNotSent, TopicUnreadable.
    """
    known = {event.break_id: event for event in _newest(kafka)}
    if break_id not in known:
        raise BreakTransitionFailed(
            f"There is no break {break_id}. `paystream breaks list --all` shows all ids."
        )
    request = decision(known[break_id], state, actor, reason)
    act = to_message(audit_action(request), "CLI")
    send_in_order(kafka, [act, to_message(request, "operator")])
    end = time.monotonic() + ANSWER_SECONDS_MAX
    while time.monotonic() < end:
        answer = _answer(kafka, request)
        if answer is not None and answer.type == ReconciliationEventType.DECISION_REFUSED:
            raise BreakTransitionFailed(
                f"The state of {break_id} was not changed: {answer.reason}."
            )
        if answer is not None:
            return answer
        time.sleep(_CHECK_SECONDS)
    raise BreakTransitionFailed(
        f"The decision about {break_id} is in Kafka, but the worker `reconciliation` did not apply"
        f" it within {ANSWER_SECONDS_MAX:.0f} s. Check that the worker runs; it will apply it then."
    )


def decision(
    event: ReconciliationEvent, state: BreakState, actor: str, reason: str
) -> ReconciliationRequest:
    """The request that moves the break of this event."""
    return ReconciliationRequest(
        request_id=new_id("rr_"),
        subject_id=event.subject_id,
        kind=Kind.DECIDE,
        issued_at_ms=now_ms(),
        source=Source.OPERATOR,
        operation_id=event.operation_id,
        report_id=None if event.operation_id else event.report_id,
        break_id=event.break_id,
        break_state=state,
        actor=actor,
        reason=reason[:REASON_CHARACTERS_MAX],
    )


def audit_action(request: ReconciliationRequest) -> AuditAction:
    """Who asked to move a break, and why; what came of it is an event of reconciliation."""
    return AuditAction(
        action_id=request.request_id,
        subject_id=request.break_id or request.subject_id,
        action=f"break.{request.break_state}",
        outcome=AuditOutcome.REQUESTED,
        actor=f"operator:{request.actor}",
        source=Source.OPERATOR,
        occurred_at_ms=request.issued_at_ms,
        justification=request.reason,
    )


def _events(kafka: KafkaConnection) -> list[ReconciliationEvent]:
    found = []
    for stored in read_topic(kafka, RECONCILIATION_EVENTS):
        try:
            found.append(decode(ReconciliationEvent, stored.value))
        except UndecodableRecord:
            continue  # the audit sink has put it into the dead letters
    return found


def _newest(kafka: KafkaConnection) -> list[ReconciliationEvent]:
    newest: dict[str, ReconciliationEvent] = {}
    for event in _events(kafka):
        if event.break_id and event.break_version:
            newest[event.break_id] = event
    return list(newest.values())


def _answer(kafka: KafkaConnection, request: ReconciliationRequest) -> ReconciliationEvent | None:
    for event in _events(kafka):
        ours = (event.break_id, event.actor) == (request.break_id, request.actor)
        if ours and event.occurred_at_ms == request.issued_at_ms:
            return event
    return None
