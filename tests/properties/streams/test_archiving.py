"""With and without archiving between commands, a payment has the same events, to the byte."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from schemas import ids
from schemas.codec import encode
from schemas.enums import ArchiveCommandKind, CommandKind, Outcome, Source
from schemas.records import HistoryRequest, NetworkRequest, PaymentCommand, PaymentEvent
from streams.domain import PaymentState, Policy, Stored, decide, handle
from streams.domain.archive import ArchivedPayment, archive_command, archive_stub
from streams.domain.archived_payments import WAITING_MAX
from streams.domain.history_codec import pack
from streams.state_codec import decode_archived, decode_state, encode_archived, encode_state

KEY = "basket"
PAYMENT_ID = ids.payment_id("mer_1", "test", KEY)
POLICY = Policy(status_inquiry_attempts_max=6)
LATER_MS = (POLICY.archive_after_seconds + 1) * 1000
ASKED = [
    CommandKind.CAPTURE,
    CommandKind.VOID,
    CommandKind.REFUND,
    CommandKind.SETTLE,
    CommandKind.OPEN_DISPUTE,
    CommandKind.WIN_DISPUTE,
    CommandKind.LOSE_DISPUTE,
]


class StoredPayment:
    """The payment as the agent keeps it: one table or the other, encoded."""

    def __init__(self) -> None:
        self.state: bytes | None = None
        self.stub: bytes | None = None
        self.events: list[bytes] = []
        self.requests: list[bytes] = []
        self.request: HistoryRequest | None = None
        self.moves = 0

    def handle(self, command: PaymentCommand) -> str | None:
        assert self.state is None or self.stub is None
        before: Stored = None if self.state is None else decode_state(self.state)
        if self.stub is not None:
            before = decode_archived(self.stub)
        handled = handle(before, command, POLICY)
        after = handled.stored
        self.moves += isinstance(before, ArchivedPayment) != isinstance(after, ArchivedPayment)
        self.state = encode_state(after) if isinstance(after, PaymentState) else None
        self.stub = encode_archived(after) if isinstance(after, ArchivedPayment) else None
        self.request = handled.history_request or self.request
        for decision, _ in handled.decisions:
            self.events += map(encode, decision.events)
            self.requests += map(encode, decision.requests)
        return handled.history_rejected

    @property
    def waits(self) -> int:
        return 0 if self.stub is None else len(decode_archived(self.stub).waiting)


class ArchivingMachine(RuleBasedStateMachine):
    """`plain` is decided at once; `kept` goes through the archive whenever chance wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.plain: PaymentState | None = None
        self.events: list[PaymentEvent] = []
        self.requests: list[NetworkRequest] = []
        self.commands: list[PaymentCommand] = []
        self.kept = StoredPayment()
        self.now_ms = 1_700_000_000_000

    def send(self, command: PaymentCommand) -> None:
        if self.kept.waits >= WAITING_MAX:
            return
        self.commands.append(command)
        decision = decide(self.plain, command, POLICY)
        self.plain = decision.state
        self.events += decision.events
        self.requests += decision.requests
        self.kept.handle(command)

    def command(self, kind: str, name: str, **fields: Any) -> PaymentCommand:
        self.now_ms += 100
        return PaymentCommand(
            command_id=ids.command_id(PAYMENT_ID, kind, name),
            payment_id=PAYMENT_ID,
            merchant_id=fields.pop("merchant_id", "mer_1"),
            mode="test",
            kind=kind,
            fingerprint=ids.fingerprint(fields),
            issued_at_ms=self.now_ms,
            source=Source.API,
            **fields,
        )

    @initialize(start=st.sampled_from(["nowhere", "captured", "settled", "settled", "declined"]))
    def begin(self, start: str) -> None:
        """Most lives start where a payment is at rest."""
        if start == "nowhere":
            return
        self.create("automatic", 250)
        outcomes = [Outcome.DECLINED] if start == "declined" else 2 * [Outcome.APPROVED]
        for outcome in outcomes:
            self.send(self.result(self.requests[-1], outcome))
        if start == "settled":
            self.send(self.command(CommandKind.SETTLE, "report"))

    @rule(
        method=st.sampled_from(["automatic", "automatic", "manual"]), fee=st.sampled_from([0, 250])
    )
    def create(self, method: str, fee: int) -> None:
        body = {"amount_minor": 1000, "currency": "JPY", "capture_method": method}
        self.send(
            self.command(CommandKind.CREATE, KEY, idempotency_key=KEY, fee_basis_points=fee, **body)
        )

    @rule(
        kind=st.sampled_from(ASKED),
        amount=st.sampled_from([None, 100, 400]),
        name=st.integers(0, 9),
        merchant=st.sampled_from(["mer_1"] * 4 + ["mer_other"]),
    )
    def ask(self, kind: str, amount: int | None, name: int, merchant: str) -> None:
        dispute_id = f"dsp_{name % 2}" if "dispute" in kind else None
        fields = {"amount_minor": amount, "dispute_id": dispute_id, "merchant_id": merchant}
        self.send(self.command(kind, str(name), **fields))

    @precondition(lambda self: self.requests)
    @rule(
        data=st.data(),
        outcome=st.sampled_from([Outcome.APPROVED] * 5 + [Outcome.DECLINED, Outcome.NOT_PROCESSED]),
        newest=st.booleans(),
    )
    def answer(self, data: st.DataObject, outcome: Outcome, newest: bool) -> None:
        """Also late, doubled and contrary answers, about any request."""
        request = self.requests[-1] if newest else data.draw(st.sampled_from(self.requests))
        self.send(self.result(request, outcome))

    def result(self, request: NetworkRequest, outcome: Outcome) -> PaymentCommand:
        answer = self.command(
            CommandKind.NETWORK_RESULT,
            request.request_id,
            operation=request.operation,
            operation_id=request.operation_id,
            attempt=request.attempt,
            outcome=outcome,
            network_reference=f"net_{request.operation_id}",
            card="jwe" if outcome == Outcome.NOT_PROCESSED else None,
        )
        return replace(answer, source=Source.NETWORK)

    @precondition(lambda self: self.commands)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.send(data.draw(st.sampled_from(self.commands)))

    @rule()
    def archive(self) -> None:
        """Whatever the scan finds; a command that was sent before the last change does nothing."""
        if self.kept.state is None:
            return
        state = decode_state(self.kept.state)
        command = archive_command(state, state.updated_at_ms + LATER_MS, POLICY)
        if command is None:
            return
        early = replace(command, issued_at_ms=state.updated_at_ms + LATER_MS - 2_000)
        other = replace(
            command, command_id=ids.command_id(PAYMENT_ID, ArchiveCommandKind.ARCHIVE, "0")
        )
        for wrong in (early, other):
            self.kept.handle(wrong)
            assert self.kept.stub is None
        self.kept.handle(command)
        assert self.kept.state is None
        assert self.kept.stub == encode_archived(archive_stub(state))

    @precondition(lambda self: self.kept.request)
    @rule(fault=st.sampled_from(["cut", "other", "garbage", "nothing", "old attempt"]))
    def wrong_history(self, fault: str) -> None:
        """Refused, and asked again if it was the answer that was waited for."""
        request, waiting = self.kept.request, self.kept.waits
        assert request is not None
        good = [encode(event) for event in self.events[: request.sequence]]
        last = replace(self.events[request.sequence - 1], captured_minor=7, status="captured")
        histories = {
            "cut": pack(good[:-1]),
            "other": pack([*good[:-1], encode(last)]),
            "garbage": b"\x00\x01",
            "nothing": None,
            "old attempt": pack(good),
        }
        attempt = request.attempt - (fault == "old attempt")
        refused = self.kept.handle(self.history(request, histories[fault], attempt))
        assert self.kept.waits == waiting
        if waiting and fault != "old attempt":
            assert refused
            assert self.kept.request is not None
            assert self.kept.request.attempt == request.attempt + 1

    @precondition(lambda self: self.kept.request)
    @rule(twice=st.booleans())
    def right_history(self, twice: bool) -> None:
        request, waiting = self.kept.request, self.kept.waits
        assert request is not None
        good = pack([encode(event) for event in self.events[: request.sequence]])
        command = self.history(request, good, request.attempt)
        assert self.kept.handle(command) is None
        if waiting:
            assert self.kept.stub is None
        if twice:
            assert self.kept.handle(command) is None

    def history(
        self, request: HistoryRequest, packed: bytes | None, attempt: int
    ) -> PaymentCommand:
        name = f"{request.sequence}#{request.attempt}"
        command = self.command(ArchiveCommandKind.HISTORY, name, attempt=attempt, history=None)
        return replace(command, history=packed)

    def teardown(self) -> None:
        if self.kept.waits:
            self.right_history(twice=True)
        assert self.kept.waits == 0
        assert self.kept.events == [encode(event) for event in self.events]
        assert self.kept.requests == [encode(request) for request in self.requests]
        if self.plain is None:
            return
        if self.kept.stub is not None:
            assert decode_archived(self.kept.stub) == _asked(self.kept.stub, self.plain)
        else:
            assert self.kept.state == encode_state(self.plain)


def _asked(stub: bytes, state: PaymentState) -> ArchivedPayment:
    found = decode_archived(stub)
    return replace(
        archive_stub(state), attempt=found.attempt, requested_at_ms=found.requested_at_ms
    )


ArchivingMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None
)
TestArchiving = ArchivingMachine.TestCase
