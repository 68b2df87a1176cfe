"""What the simulated card network answers: pure decisions over its own records.

`decide` makes a record, `apply` folds a record into the state; the journal holds the records, so
that a restarted network is the same network. One reference names an authorization and everything
that follows from it. A void after a partial capture is what networks call a partial reversal: it
releases what is left of the hold, and what was captured stays captured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from devstack.simulators.cards import BEHAVIOURS, Behaviour, TimeOut
from devstack.simulators.references import letters_of
from schemas.enums import DeclineCode, Operation, Outcome

Record = dict[str, Any]
LOG_FIELDS = (
    "idempotency_key",
    "operation",
    "outcome",
    "decline_code",
    "amount_minor",
    "currency",
    "network_reference",
    "at_ms",
)


class OperationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /v1/operations`; amounts in minor units."""

    idempotency_key: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    operation: Operation
    amount_minor: Annotated[int, msgspec.Meta(ge=0)] = 0
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    card: str | None = None
    network_reference: str | None = None
    return_url: Annotated[str, msgspec.Meta(pattern="^https?://")] | None = None

    def __post_init__(self) -> None:
        """`ValueError` for an operation that has its own page."""
        if self.operation == Operation.STATUS:
            raise ValueError("the status of an operation is at GET /v1/operations/{key}")


@dataclass
class Authorization:
    """An approved, pending or refused authorization and what became of it."""

    behaviour: Behaviour
    outcome: str
    amount_minor: int
    currency: str
    captured_minor: int = 0
    refunded_minor: int = 0
    voided: bool = False


@dataclass
class Network:
    """All operations by idempotency key, authorizations by reference, 3-D Secure actions by id."""

    operations: dict[str, Record] = field(default_factory=dict)
    authorizations: dict[str, Authorization] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def apply(self, record: Record) -> None:
        """Fold one record of the journal."""
        match record["kind"]:
            case "seen":
                self.requests[record["idempotency_key"]] += 1
            case "operation":
                self._apply_operation(record)
            case "action":
                self._apply_action(record)

    def fingerprint_of(self, key: str) -> str | None:
        """Fingerprint of the body that took effect under a key, None if none did."""
        record = self.operations.get(key)
        return record["fingerprint"] if record else None

    def answer(self, key: str) -> Record:
        """The response about an operation that took effect."""
        record = self.operations[key]
        answer = {
            "outcome": record["outcome"],
            "network_reference": record["network_reference"],
            "decline_code": record["decline_code"],
        }
        if record["outcome"] == Outcome.REQUIRES_ACTION:
            answer["action_url"] = record["action_url"]
        return answer

    def decide(
        self,
        request: OperationRequest,
        behaviour: Behaviour,
        *,
        fingerprint: str,
        at_ms: int,
        base_url: str,
    ) -> Record:
        """The record of a request that no earlier request of its key has decided."""
        digest = letters_of(request.idempotency_key, 24)
        outcome, decline_code = self._judge(request, behaviour)
        pending = outcome == Outcome.REQUIRES_ACTION
        opens = request.operation == Operation.AUTHORIZE
        return {
            "kind": "operation",
            "idempotency_key": request.idempotency_key,
            "fingerprint": fingerprint,
            "operation": request.operation,
            "outcome": outcome,
            "decline_code": decline_code,
            "amount_minor": self._amount_of(request),
            "currency": request.currency,
            "network_reference": f"net_{digest}" if opens else request.network_reference,
            "behaviour": behaviour.name,
            "action_url": f"{base_url}/actions/act_{digest}" if pending else None,
            "return_url": request.return_url,
            "at_ms": at_ms,
        }

    def behaviour_of_reference(self, reference: str | None) -> Behaviour:
        """Behaviour of the card behind a reference; approving if there is none."""
        authorization = self.authorizations.get(reference or "")
        return authorization.behaviour if authorization else BEHAVIOURS["approve"]

    def time_out(self, request: OperationRequest, behaviour: Behaviour) -> TimeOut:
        """The scripted time-out of a request that is the first of its key."""
        if self.requests[request.idempotency_key] > 0:
            return TimeOut.NONE
        if request.operation == Operation.AUTHORIZE:
            return behaviour.authorize_time_out
        return (
            behaviour.capture_time_out if request.operation == Operation.CAPTURE else TimeOut.NONE
        )

    def log_lines(self) -> Iterator[Record]:
        """One line per operation that took effect, oldest first."""
        for key, record in self.operations.items():
            yield {name: record[name] for name in LOG_FIELDS} | {"requests": self.requests[key]}

    def summary(self) -> Record:
        """Counts by operation and outcome; charges are approved captures."""
        outcomes: dict[str, Counter[str]] = {}
        charged: Counter[str] = Counter()
        refunded: Counter[str] = Counter()
        for record in self.operations.values():
            operation, outcome = record["operation"], record["outcome"]
            outcomes.setdefault(operation, Counter())[outcome] += 1
            if outcome == Outcome.APPROVED and operation == Operation.CAPTURE:
                charged[record["currency"]] += record["amount_minor"]
            if outcome == Outcome.APPROVED and operation == Operation.REFUND:
                refunded[record["currency"]] += record["amount_minor"]
        return {
            "operations": outcomes,
            "charged_minor": charged,
            "refunded_minor": refunded,
            "requests": self.requests.total(),
            "repeats": sum(count - 1 for key, count in self.requests.items() if count > 1),
        }

    def _apply_operation(self, record: Record) -> None:
        key, reference = record["idempotency_key"], record["network_reference"]
        self.operations[key] = record
        self.requests[key] += 1
        if record["operation"] == Operation.AUTHORIZE:
            self.authorizations[reference] = Authorization(
                BEHAVIOURS[record["behaviour"]],
                record["outcome"],
                record["amount_minor"],
                record["currency"],
            )
            if record["action_url"]:
                self.actions[record["action_url"].rsplit("/", 1)[1]] = key
        elif record["outcome"] == Outcome.APPROVED:
            self._move(self.authorizations[reference], record)

    def _apply_action(self, record: Record) -> None:
        operation = self.operations[self.actions[record["action_id"]]]
        approved = record["result"] == "success"
        operation["outcome"] = Outcome.APPROVED if approved else Outcome.DECLINED
        operation["decline_code"] = None if approved else DeclineCode.AUTHENTICATION_FAILED
        operation["action_result"] = record["result"]
        self.authorizations[operation["network_reference"]].outcome = operation["outcome"]

    @staticmethod
    def _move(authorization: Authorization, record: Mapping[str, Any]) -> None:
        match record["operation"]:
            case Operation.CAPTURE:
                authorization.captured_minor += record["amount_minor"]
            case Operation.REFUND:
                authorization.refunded_minor += record["amount_minor"]
            case Operation.VOID:
                authorization.voided = True

    def _amount_of(self, request: OperationRequest) -> int:
        authorization = self.authorizations.get(request.network_reference or "")
        if request.operation == Operation.VOID and authorization:
            return authorization.amount_minor - authorization.captured_minor
        return request.amount_minor

    def _judge(self, request: OperationRequest, behaviour: Behaviour) -> tuple[str, str | None]:
        if request.operation != Operation.VOID and request.amount_minor == 0:
            return Outcome.FAILED, "amount_invalid"
        if request.operation == Operation.AUTHORIZE:
            return _judge_authorize(behaviour)
        authorization = self.authorizations.get(request.network_reference or "")
        if authorization is None:
            return Outcome.FAILED, "unknown_reference"
        if code := _broken_rule(request, authorization):
            return Outcome.FAILED, code
        declines = {
            Operation.CAPTURE: behaviour.capture_decline,
            Operation.REFUND: behaviour.refund_decline,
        }
        if code := declines.get(request.operation):
            return Outcome.DECLINED, code
        return Outcome.APPROVED, None


def _judge_authorize(behaviour: Behaviour) -> tuple[str, str | None]:
    if behaviour.authorize_decline:
        return Outcome.DECLINED, behaviour.authorize_decline
    return (Outcome.REQUIRES_ACTION if behaviour.needs_action else Outcome.APPROVED), None


def _broken_rule(request: OperationRequest, authorization: Authorization) -> str | None:
    if authorization.outcome != Outcome.APPROVED:
        return "not_authorized"
    if authorization.currency != request.currency:
        return "currency_mismatch"
    amount = request.amount_minor
    rules = {
        Operation.CAPTURE: (
            (authorization.voided, "already_voided"),
            (
                authorization.captured_minor + amount > authorization.amount_minor,
                "amount_exceeds_authorized",
            ),
        ),
        Operation.REFUND: (
            (
                authorization.refunded_minor + amount > authorization.captured_minor,
                "amount_exceeds_captured",
            ),
        ),
        Operation.VOID: (
            (authorization.voided, "already_voided"),
            (authorization.captured_minor >= authorization.amount_minor, "already_captured"),
        ),
    }
    return next((code for broken, code in rules[request.operation] if broken), None)
