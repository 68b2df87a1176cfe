"""`charged_once`: what the card network did, compared with what the events say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.enums import EventType, Operation, Outcome, Reversal
from schemas.records import PaymentEvent

_CONFIRMED: dict[str, str] = {
    Operation.CAPTURE: EventType.CAPTURED,
    Operation.REFUND: EventType.REFUND_SUCCEEDED,
}
_DENIED: dict[str, str] = {
    Operation.CAPTURE: EventType.CAPTURE_FAILED,
    Operation.REFUND: EventType.REFUND_FAILED,
}

_TAKEN_BACK = f":{Reversal.CAPTURE}:"
_CHARGES = (Operation.CAPTURE, Reversal.CAPTURE)

Line = Mapping[str, Any]
Ends = dict[str, PaymentEvent]  # operation id -> the event that ended the operation


def charged_once(dataset: Dataset, findings: Findings) -> None:
    """Each approved operation is our own, took effect once, and is in the events.

    A charge is an approved capture. One that the events do not know yet is right only while the
    payment waits for its outcome; one that the events deny, if it was taken back or is about to be.
    """
    approved = [line for line in dataset.network_log if line["outcome"] == Outcome.APPROVED]
    effects = Counter((line["operation"], line["idempotency_key"]) for line in approved)
    for (operation, key), count in effects.items():
        findings.expect(count == 1, key, f"{operation} took effect {count} times at the network")
    ends = _ends(dataset)
    for line in approved:
        _is_ours(line, ends, dataset, findings)
    moved = {line["idempotency_key"] for line in approved if line["operation"] in _CONFIRMED}
    for key, event in ends.items():
        if event.type not in _DENIED.values():
            problem = f"{event.type} {key}, but the network knows of none"
            findings.expect(key in moved, event.payment_id, problem)
    _sums_agree(approved, dataset, findings)


def _payment_of(operation_id: str) -> str:
    return operation_id.partition(":")[0]


def _ends(dataset: Dataset) -> Ends:
    ending = {*_CONFIRMED.values(), *_DENIED.values(), EventType.REVERSED}
    return {
        event.operation_id: event
        for event in dataset.all_events()
        if event.type in ending and event.operation_id is not None
    }


def _is_ours(line: Line, ends: Ends, dataset: Dataset, findings: Findings) -> None:
    key, name = line["idempotency_key"], line["operation"]
    payment_id = _payment_of(key)
    state = dataset.states.get(payment_id)
    operation = state.operation_of(key) if state is not None else None
    if state is None or operation is None:
        findings.expect(False, payment_id, f"{name} {key} was requested by no event")
    elif name in _CONFIRMED and key not in ends:
        findings.expect(operation.pending, payment_id, f"{name} {key} is not in the events")
    elif name in _CONFIRMED:
        reversal = key.replace(f":{Operation.CAPTURE}:", _TAKEN_BACK)
        taken_back = reversal != key and state.operation_of(reversal) is not None
        _agrees(line, ends[key], ends[key].type == _DENIED[name] and not taken_back, findings)


def _agrees(line: Line, end: PaymentEvent, denied: bool, findings: Findings) -> None:
    key, name = line["idempotency_key"], line["operation"]
    if denied:
        findings.expect(False, end.payment_id, f"{name} {key} took effect, the events deny it")
        return
    same = (end.amount_minor, end.currency) == (line["amount_minor"], line["currency"])
    said = f"events say {end.amount_minor} {end.currency}"
    did = f"the network did {line['amount_minor']} {line['currency']}"
    findings.expect(same, end.payment_id, f"{name} {key}: {said}, {did}")


def _sums_agree(approved: list[Line], dataset: Dataset, findings: Findings) -> None:
    charged: Counter[str] = Counter()
    for line in approved:
        payment_id = _payment_of(line["idempotency_key"])
        if line["operation"] == Operation.CAPTURE:
            charged[payment_id] += line["amount_minor"]
        elif _TAKEN_BACK in line["idempotency_key"]:
            charged[payment_id] -= line["amount_minor"]
    for payment_id, state in dataset.states.items():
        if any(o.pending for o in state.operations if o.operation in _CHARGES):
            continue
        problem = f"captured {state.captured_minor}, charged {charged[payment_id]} at the network"
        findings.expect(charged[payment_id] == state.captured_minor, payment_id, problem)
