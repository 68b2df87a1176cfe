"""A payment command by command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from schemas import ids
from schemas.enums import CommandKind, Source
from schemas.payment_commands import CLIENT_COMMAND_KINDS, command_fingerprint
from schemas.records import NetworkRequest, PaymentCommand, PaymentEvent
from streams.domain import Decision, PaymentState, Policy, deadline_command, decide, evolve

MERCHANT = "mer_1"
START_MS = 1_700_000_000_000


class PaymentTimeline:
    """Sends commands to one payment and keeps what came of them; time moves 1 s per command.

    `identified`: ids and fingerprints are those that the agent computes again.
    """

    def __init__(
        self, policy: Policy | None = None, key: str = "order-1", *, identified: bool = False
    ) -> None:
        self.identified = identified
        self.policy = policy or Policy()
        self.key = key
        self.payment_id = ids.payment_id(MERCHANT, "test", key)
        self.state: PaymentState | None = None
        self.events: list[PaymentEvent] = []
        self.requests: list[NetworkRequest] = []
        self.commands: list[PaymentCommand] = []
        self.now_ms = START_MS

    def command(self, kind: str, **fields: Any) -> PaymentCommand:
        self.now_ms += 1000
        name = fields.pop("name", f"{kind}-{len(self.commands)}")
        if self.identified and kind in CLIENT_COMMAND_KINDS:
            fields = {"idempotency_key": name, **fields}
        defaults = {
            "command_id": ids.command_id(self.payment_id, kind, name),
            "payment_id": self.payment_id,
            "merchant_id": MERCHANT,
            "mode": "test",
            "kind": kind,
            "fingerprint": ids.fingerprint({"kind": kind, **fields}),
            "issued_at_ms": self.now_ms,
            "source": Source.API,
        }
        command = PaymentCommand(**{**defaults, **fields})
        if self.identified and kind in CLIENT_COMMAND_KINDS and "fingerprint" not in fields:
            return replace(command, fingerprint=command_fingerprint(command))
        return command

    def send(self, command: PaymentCommand) -> Decision:
        before = self.state
        decision = decide(before, command, self.policy)
        folded = before
        for event in decision.events:
            folded = evolve(folded, event)
        assert folded == decision.state
        self.commands.append(command)
        self.events.extend(decision.events)
        self.requests.extend(decision.requests)
        self.state = decision.state
        return decision

    def tell(self, kind: str, **fields: Any) -> list[str]:
        """Types of the events that the command led to."""
        return [event.type for event in self.send(self.command(kind, **fields)).events]

    def create(self, **fields: Any) -> list[str]:
        body = {"amount_minor": 1000, "currency": "EUR", "idempotency_key": self.key}
        return self.tell(CommandKind.CREATE, **{"name": self.key, **body, **fields})

    def result(
        self,
        outcome: str,
        operation: str = "authorize",
        number: int = 1,
        attempt: int = 1,
        **f: Any,
    ) -> list[str]:
        """The network's answer about one of the payment's operations."""
        return self.tell(
            CommandKind.NETWORK_RESULT,
            operation=operation,
            operation_id=f"{self.payment_id}:{operation}:{number}",
            attempt=attempt,
            outcome=outcome,
            source=Source.NETWORK,
            **f,
        )

    def deadline(self) -> list[str]:
        """Time passes up to the next deadline, and its command arrives."""
        assert self.state is not None
        command = deadline_command(self.state, 1 << 50)
        assert command is not None, "nothing is due"
        at_ms = int(next(e.due_at_ms for e in reversed(self.events) if e.due_at_ms))
        self.now_ms = max(self.now_ms, at_ms)
        due = deadline_command(self.state, self.now_ms)
        return [event.type for event in self.send(due or command).events]

    def authorized(self, **fields: Any) -> PaymentTimeline:
        """A payment that was authorized, by default with manual capture."""
        self.create(**{"capture_method": "manual", **fields})
        self.result("approved", network_reference="net_1")
        return self

    def captured(self, **fields: Any) -> PaymentTimeline:
        """A payment of which everything was captured."""
        self.create(**fields)
        self.result("approved", network_reference="net_1")
        self.result("approved", "capture")
        return self

    @property
    def status(self) -> str:
        assert self.state is not None
        return self.state.status

    @property
    def reason(self) -> str | None:
        """Why the last command was refused."""
        return self.events[-1].reason


@pytest.fixture
def story() -> PaymentTimeline:
    """A payment that nobody has heard of yet."""
    return PaymentTimeline()


@pytest.fixture
def new_story() -> Callable[..., PaymentTimeline]:
    """Makes further payments: `new_story(policy=…, key=…)`."""
    return PaymentTimeline
