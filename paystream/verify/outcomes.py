"""`accepted_has_outcome`: nothing that was acknowledged is lost or forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.enums import PaymentStatus, Source
from schemas.records import PaymentCommand

_ACCEPTED_FROM = {Source.API, Source.PRODUCER, Source.OPERATOR}


def accepted_has_outcome(dataset: Dataset, findings: Findings) -> None:
    """Every accepted command is on its topic and caused an event, or repeats one that did.

    A rejection is an outcome too: its record says what the sender should do.

    A payment that waits is a known state, if it waits with a due time. Commands of our own
    processes (network results, deadlines) were promised to nobody: `events_are_recomputable`
    covers them.
    """
    known = {command.command_id for command in dataset.all_commands()}
    known |= {rejection.command_id for rejection in dataset.rejections if rejection.command_id}
    caused = {event.command_id for event in dataset.all_events()}
    for command_id, payment_id in _accepted(dataset, findings):
        on_topic = command_id in known or command_id in caused
        problem = f"accepted as {command_id}, but on no topic"
        findings.expect(on_topic, payment_id, problem)
    for command in _first_of_each(dataset):
        has_outcome = command.command_id in caused
        problem = f"{command.kind} {command.command_id} caused no event"
        findings.expect(has_outcome, command.payment_id, problem)
    _nothing_waits_for_ever(dataset, findings)


def _accepted(dataset: Dataset, findings: Findings) -> Iterator[tuple[str, str]]:
    lines: Iterator[Mapping[str, Any]] | None = dataset.sources.accepted_commands()
    if lines is None:
        findings.note("no sender kept a log: acknowledgements were not compared with the topic")
        return
    for line in lines:
        if line.get("command_id"):
            yield line["command_id"], line.get("payment_id", line["command_id"])


def _first_of_each(dataset: Dataset) -> Iterator[PaymentCommand]:
    seen: set[str] = set()
    for command in dataset.all_commands():
        if command.source in _ACCEPTED_FROM and command.command_id not in seen:
            seen.add(command.command_id)
            yield command


def _nothing_waits_for_ever(dataset: Dataset, findings: Findings) -> None:
    for payment_id, state in dataset.states.items():
        for operation in state.operations:
            if operation.pending:
                problem = f"waits for {operation.key(payment_id)} without a due time"
                findings.expect(operation.due_at_ms is not None, payment_id, problem)
        if state.status == PaymentStatus.REQUIRES_ACTION:
            problem = "waits for the customer without a due time"
            findings.expect(state.action_due_at_ms is not None, payment_id, problem)
