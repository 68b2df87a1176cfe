"""Random lives of a payment against the laws of money: repeats, late, lost and contrary answers."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas import ids
from schemas.codec import encode
from schemas.enums import (
    SYSTEM_COMMAND_KINDS,
    CommandKind,
    EventType,
    Operation,
    Outcome,
    PaymentStatus,
    RejectionReason,
    Source,
)
from schemas.records import NetworkRequest, PaymentCommand, PaymentEvent
from streams.domain import PaymentState, Policy, deadline_command, decide, evolve, next_due
from streams.domain.transitions import TABLE, TERMINAL_STATUSES, Step
from streams.state_codec import decode_state, encode_state

KEY = "basket"
PAYMENT_ID = ids.payment_id("mer_1", "test", KEY)
POLICY = Policy(status_inquiry_attempts_max=6)
REFUSALS = [Outcome.DECLINED, Outcome.FAILED, Outcome.REQUIRES_ACTION]
PEOPLE = [k for k in CommandKind if k not in SYSTEM_COMMAND_KINDS and k != CommandKind.CREATE]
ASKED = PEOPLE + 3 * [CommandKind.CAPTURE, CommandKind.REFUND]
AMOUNTS = st.one_of(st.none(), st.integers(-1, 400), st.integers(401, 1100))
FEES = st.sampled_from([(0, 0), (290, 30), (10_000, 5_000)])


class CardNetwork:
    """A naive network: an operation takes effect once per key, however often it is asked."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.moved: dict[str, int] = {"capture": 0, "refund": 0}

    def take(self, request: NetworkRequest, outcome: str) -> str:
        """Outcome under the request's key; the first one stays, but for an action that is done."""
        known = self.outcomes.get(request.operation_id)
        if known is not None and known != Outcome.REQUIRES_ACTION:
            return known
        self.outcomes[request.operation_id] = outcome
        kind = request.subject_operation or request.operation
        if outcome == Outcome.APPROVED and kind in self.moved:
            self.moved[kind] += request.amount_minor
        return outcome


class PaymentMachine(RuleBasedStateMachine):
    """Every rule sends one command; the invariants hold after each."""

    def __init__(self) -> None:
        super().__init__()
        self.state: PaymentState | None = None
        self.events: list[PaymentEvent] = []
        self.requests: list[NetworkRequest] = []
        self.commands: list[PaymentCommand] = []
        self.unanswered: list[NetworkRequest] = []
        self.network = CardNetwork()
        self.contrary = False
        self.now_ms = 1_700_000_000_000

    def send(self, command: PaymentCommand) -> tuple[PaymentEvent, ...]:
        decision = decide(self.state, command, POLICY)
        self.commands.append(command)
        self.events += decision.events
        self.requests += decision.requests
        self.unanswered += decision.requests
        self.state = decision.state
        return decision.events

    def command(self, kind: str, name: str, **fields: Any) -> PaymentCommand:
        self.now_ms += 100
        return PaymentCommand(
            command_id=ids.command_id(PAYMENT_ID, kind, name),
            payment_id=PAYMENT_ID,
            merchant_id="mer_1",
            mode="test",
            kind=kind,
            fingerprint=ids.fingerprint(fields),
            issued_at_ms=self.now_ms,
            **fields,
        )

    def answer(self, request: NetworkRequest, outcome: str) -> tuple[PaymentEvent, ...]:
        return self.send(
            self.command(
                CommandKind.NETWORK_RESULT,
                request.request_id,
                source=Source.NETWORK,
                operation=request.operation,
                operation_id=request.operation_id,
                attempt=request.attempt,
                outcome=outcome,
            )
        )

    @initialize(
        start=st.sampled_from(["nowhere", "created", "authorized", "authorized", "captured"]),
        fees=FEES,
    )
    def begin(self, start: str, fees: tuple[int, int]) -> None:
        """Most lives start in the middle, where the most can happen."""
        if start == "nowhere":
            return
        self.create("automatic" if start == "captured" else "manual", None, fees, 1000)
        while start != "created" and self.unanswered:
            request = self.unanswered.pop()
            self.answer(request, self.network.take(request, Outcome.APPROVED))

    @rule(
        method=st.sampled_from(["automatic", "manual"]),
        delay=st.sampled_from([None, 60]),
        fees=FEES,
        amount=st.sampled_from([1000, 1000, 1000, 999, 0]),
    )
    def create(self, method: str, delay: int | None, fees: tuple[int, int], amount: int) -> None:
        self.send(
            self.command(
                CommandKind.CREATE,
                KEY,
                source=Source.API,
                idempotency_key=KEY,
                amount_minor=amount,
                currency="JPY",
                capture_method=method,
                capture_delay_seconds=delay,
                fee_basis_points=fees[0],
                fee_fixed_minor=fees[1],
            )
        )

    @rule(kind=st.sampled_from(ASKED), amount=AMOUNTS, final=st.booleans(), name=st.integers(0, 9))
    def ask(self, kind: str, amount: int | None, final: bool, name: int) -> None:
        dispute_id = f"dsp_{name % 2}" if "dispute" in kind else None
        fields = {"amount_minor": amount, "final": final, "dispute_id": dispute_id}
        self.send(self.command(kind, str(name), source=Source.API, **fields))

    @precondition(lambda self: self.commands)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """An exact copy that the memory still holds changes nothing and leaves no event."""
        earlier = data.draw(st.sampled_from(self.commands))
        before = self.state
        assert before is not None
        remembered = {*before.client_commands, *before.system_commands}
        is_known = any(
            (seen.command_id, seen.fingerprint) == (earlier.command_id, earlier.fingerprint[:32])
            for seen in remembered
        )
        events = self.send(earlier)
        if is_known:
            assert (events, self.state) == ((), before)
        else:
            assert earlier.kind in SYSTEM_COMMAND_KINDS, "no command of an operator is forgotten"
            assert [event.type for event in events] == [EventType.COMMAND_REJECTED]

    @precondition(lambda self: self.unanswered)
    @rule(
        data=st.data(),
        drawn=st.sampled_from([Outcome.APPROVED] * 4 + REFUSALS),
        fate=st.sampled_from(["answered", "lost", "lost", "silent", "late"]),
    )
    def network_answers(self, data: st.DataObject, drawn: Outcome, fate: str) -> None:
        request = data.draw(st.sampled_from(self.unanswered))
        kind = request.subject_operation or request.operation
        if drawn == Outcome.REQUIRES_ACTION and kind != Operation.AUTHORIZE:
            drawn = Outcome.APPROVED
        outcome = self.network.take(request, drawn)
        if fate != "late":
            self.unanswered.remove(request)
        if fate in ("answered", "late"):
            self.answer(request, outcome)
        elif fate == "lost":
            self.answer(request, Outcome.UNKNOWN)

    @precondition(lambda self: len(self.requests) > len(self.unanswered))
    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)))
    def a_contrary_answer(self, data: st.DataObject, outcome: Outcome) -> None:
        """Anything about a question that was answered, also the opposite of the answer.

        A no about an open question is believed, so that afterwards only our own sums must hold.
        """
        answered = [request for request in self.requests if request not in self.unanswered]
        events = self.answer(data.draw(st.sampled_from(answered)), outcome)
        if any(event.type != EventType.COMMAND_REJECTED for event in events):
            self.contrary = True

    @precondition(lambda self: self.state is not None and next_due(self.state) is not None)
    @rule(late_ms=st.integers(0, 10_000), twice=st.booleans())
    def deadline(self, late_ms: int, twice: bool) -> None:
        assert self.state is not None
        due = next_due(self.state)
        assert due is not None
        self.now_ms = max(self.now_ms, due.at_ms + late_ms)
        command = deadline_command(self.state, self.now_ms)
        assert command is not None
        events = self.send(command)
        assert events, "a deadline that has passed does something"
        assert all(event.type != EventType.COMMAND_REJECTED for event in events)
        after = next_due(self.state)
        assert after is None or after != due
        if twice:
            assert self.send(command) == ()

    @invariant()
    def money_adds_up(self) -> None:
        state = self.state
        if state is None:
            return
        assert 0 <= state.refunded_minor <= state.captured_minor <= state.authorized_minor
        assert state.authorized_minor <= state.requested_minor
        assert 0 <= state.fees_minor <= state.captured_minor
        assert state.refundable_minor >= 0
        assert state.capturable_minor >= 0
        captures = sum(o.amount_minor for o in state.pending(Operation.CAPTURE))
        assert captures <= state.capturable_minor
        assert len(list(state.pending(Operation.CAPTURE))) <= 1

    @invariant()
    def the_network_moved_what_we_know_of(self) -> None:
        """Without contrary answers, moved money is known or its outcome is pending."""
        state = self.state
        if state is None or self.contrary:
            return
        for kind, known in (
            (Operation.CAPTURE, state.captured_minor),
            (Operation.REFUND, state.refunded_minor),
        ):
            pending = sum(o.amount_minor for o in state.pending(kind))
            assert known <= self.network.moved[kind] <= known + pending
        assert self.network.moved["capture"] <= state.requested_minor

    @invariant()
    def sequence_has_no_gap(self) -> None:
        assert [event.sequence for event in self.events] == list(range(1, len(self.events) + 1))

    @invariant()
    def every_state_has_a_way_out_or_is_final(self) -> None:
        state = self.state
        if state is None or state.status in TERMINAL_STATUSES:
            return
        steps = [k for k in CommandKind if isinstance(TABLE[state.status, k], Step)]
        assert set(steps) - {CommandKind.NETWORK_RESULT}
        if state.status in (PaymentStatus.UNKNOWN, PaymentStatus.AUTHORIZING):
            assert any(operation.pending for operation in state.operations)

    @invariant()
    def refusals_move_nothing(self) -> None:
        if self.events and self.events[-1].type == EventType.COMMAND_REJECTED:
            assert self.events[-1].amount_minor == 0
            assert self.events[-1].reason in set(RejectionReason)

    def teardown(self) -> None:
        """Replays give the same: events the state, commands the bytes of the events."""
        folded = None
        for event in self.events:
            folded = evolve(folded, event)
        assert folded == self.state
        if self.state is not None:
            assert decode_state(encode_state(self.state)) == self.state
        replayed: PaymentState | None = None
        events: list[bytes] = []
        for command in self.commands:
            decision = decide(replayed, command, POLICY)
            events += [encode(event) for event in decision.events]
            replayed = decode_state(encode_state(decision.state)) if decision.state else None
        assert events == [encode(event) for event in self.events]


PaymentMachine.TestCase.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
TestPaymentMachine = PaymentMachine.TestCase
