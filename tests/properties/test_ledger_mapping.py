"""Laws of the ledger's mapping: for every event, and for every history the state machine allows."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enums import CommandKind, EventType, Outcome, PayoutEventType
from schemas.ids import command_id, event_id, payment_id
from schemas.money import CURRENCIES
from schemas.records import PaymentCommand, PaymentEvent, PayoutEvent
from sinks.audit.ledger import (
    PAYMENT_RULES,
    PAYOUT_RULES,
    Account,
    EntryRow,
    EntryState,
    expected_entries,
    imbalances,
    transaction_for,
)
from streams.domain.decide import decide
from streams.domain.policy import Policy
from streams.domain.state import PaymentState

MERCHANT = "mer_1"
AMOUNTS = st.integers(min_value=1, max_value=10**12)


@st.composite
def payment_events(draw: st.DrawFn, event_type: str) -> PaymentEvent:
    """An event of a type with any amounts that a payment can have, though not any history."""
    requested = draw(AMOUNTS)
    captured = draw(st.integers(1, requested))
    amount = requested if event_type == EventType.AUTHORIZED else draw(st.integers(1, captured))
    payment = payment_id(MERCHANT, "test", str(draw(st.integers(0, 99))))
    sequence = draw(st.integers(1, 30))
    return PaymentEvent(
        event_id=event_id(payment, sequence),
        payment_id=payment,
        merchant_id=MERCHANT,
        mode="test",
        sequence=sequence,
        type=event_type,
        status="captured",
        command_id="cmd_1",
        command_kind="network_result",
        fingerprint="f",
        occurred_at_ms=draw(st.integers(0, 4 * 10**12)),
        source="network",
        currency=draw(st.sampled_from(sorted(CURRENCIES))),
        amount_minor=amount,
        fee_minor=draw(st.integers(0, amount)),
        requested_minor=requested,
        authorized_minor=draw(st.integers(captured, requested)),
        captured_minor=captured,
        refunded_minor=0,
        fees_minor=0,
        capture_method="automatic",
        fee_basis_points=0,
        fee_fixed_minor=0,
    )


@st.composite
def payout_events(draw: st.DrawFn, event_type: str) -> PayoutEvent:
    payout = f"po_{draw(st.integers(0, 99))}"
    sequence = draw(st.integers(1, 9))
    return PayoutEvent(
        event_id=event_id(payout, sequence),
        payout_id=payout,
        merchant_id=MERCHANT,
        mode=draw(st.sampled_from(["test", "live"])),
        sequence=sequence,
        type=event_type,
        status=event_type.removeprefix("payout."),
        currency=draw(st.sampled_from(sorted(CURRENCIES))),
        amount_minor=draw(AMOUNTS),
        item_count=1,
        request_id="req_1",
        occurred_at_ms=draw(st.integers(0, 4 * 10**12)),
    )


def sums(rows: list[EntryRow]) -> dict[tuple[str, str], int]:
    """(account, state) -> sum, zeros left out."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        found[row.account, row.state] += row.amount_minor
    return {key: total for key, total in found.items() if total}


ANY_MAPPED = st.sampled_from(sorted(PAYMENT_RULES)).flatmap(payment_events) | st.sampled_from(
    sorted(PAYOUT_RULES)
).flatmap(payout_events)


@given(ANY_MAPPED)
def test_every_mapped_event_balances_per_currency_and_state(
    event: PaymentEvent | PayoutEvent,
) -> None:
    transaction = transaction_for(event)
    assert transaction is not None
    assert imbalances(transaction.entries) == {}
    assert {entry.currency for entry in transaction.entries} == {event.currency}


@given(ANY_MAPPED)
def test_entry_ids_come_from_the_event_and_are_the_same_again(
    event: PaymentEvent | PayoutEvent,
) -> None:
    rows = list(expected_entries([event]))
    assert [row.entry_id for row in rows] == [
        f"{event.event_id}#{leg}" for leg in range(1, len(rows) + 1)
    ]
    assert rows == list(expected_entries([msgspec.structs.replace(event)]))


@given(st.sampled_from(sorted(set(EventType) - set(PAYMENT_RULES))).flatmap(payment_events))
def test_events_without_a_rule_move_nothing(event: PaymentEvent) -> None:
    assert transaction_for(event) is None


@given(payment_events(EventType.CAPTURED))
def test_capture_pays_the_fee_as_a_leg_of_its_own(event: PaymentEvent) -> None:
    posted = sums([r for r in expected_entries([event]) if r.state == EntryState.POSTED])
    net = event.amount_minor - event.fee_minor
    assert posted == {
        key: amount
        for key, amount in {
            (Account.NETWORK_RECEIVABLE, EntryState.POSTED): event.amount_minor,
            (Account.MERCHANT_PAYABLE, EntryState.POSTED): -net,
            (Account.FEES_REVENUE, EntryState.POSTED): -event.fee_minor,
        }.items()
        if amount
    }


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [
        (EventType.REFUND_SUCCEEDED, {"merchant_payable": 1, "network_receivable": -1}),
        (
            EventType.DISPUTE_OPENED,
            {
                "disputes": 1,
                "network_receivable": -1,
                "merchant_payable": 1,
                "merchant_reserve": -1,
            },
        ),
        (
            EventType.DISPUTE_WON,
            {
                "disputes": -1,
                "network_receivable": 1,
                "merchant_payable": -1,
                "merchant_reserve": 1,
            },
        ),
        (EventType.DISPUTE_LOST, {"disputes": -1, "merchant_reserve": 1}),
        (EventType.SETTLED, {"bank_clearing": 1, "network_receivable": -1}),
    ],
)
@given(data=st.data())
def test_movements_of_the_whole_amount(
    event_type: str, expected: dict[str, int], data: st.DataObject
) -> None:
    event = msgspec.structs.replace(data.draw(payment_events(event_type)), fee_minor=0)
    found = sums(list(expected_entries([event])))
    assert found == {
        (account, EntryState.POSTED): sign * event.amount_minor
        for account, sign in expected.items()
    }


@given(payment_events(EventType.REFUND_SUCCEEDED))
def test_a_fee_on_a_later_event_is_the_merchants_cost(event: PaymentEvent) -> None:
    found = sums(list(expected_entries([event])))
    payable = (Account.MERCHANT_PAYABLE, EntryState.POSTED)
    revenue = (Account.FEES_REVENUE, EntryState.POSTED)
    assert found[payable] == event.amount_minor + event.fee_minor
    assert found.get(revenue, 0) == -event.fee_minor


@given(payout_events(PayoutEventType.CREATED), st.booleans())
def test_a_payout_is_pending_until_the_bank_answers(created: PayoutEvent, paid: bool) -> None:
    end_type = PayoutEventType.PAID if paid else PayoutEventType.FAILED
    end = msgspec.structs.replace(created, type=end_type, event_id=created.event_id + "x")
    pending = (Account.MERCHANT_PAYABLE, EntryState.PENDING)
    posted = (Account.MERCHANT_PAYABLE, EntryState.POSTED)
    assert sums(list(expected_entries([created])))[pending] == created.amount_minor
    finally_ = sums(list(expected_entries([created, end])))
    assert finally_.get(pending, 0) == 0
    assert finally_.get(posted, 0) == (created.amount_minor if paid else 0)


# -- histories of the real state machine

MOVE_NAMES = [
    *("answer", "answer", "answer", "capture", "void", "refund", "expire", "settle"),
    *("open_dispute", "win_dispute", "lose_dispute", "resolve_unknown"),
]
OUTCOMES = ["approved", "approved", "approved", "declined", "unknown", "failed"]
MOVES = st.lists(
    st.tuples(
        st.sampled_from(MOVE_NAMES),
        st.sampled_from(OUTCOMES),
        st.integers(1, 1000),
        st.booleans(),
    ),
    max_size=25,
)


def history(moves: list[tuple[str, str, int, bool]], fee_fixed: int) -> Iterator[PaymentEvent]:
    """Events of one payment of 1000 minor units, driven by `moves` through `decide`."""
    payment = payment_id(MERCHANT, "test", "k")
    base = {"payment_id": payment, "merchant_id": MERCHANT, "mode": "test", "source": "api"}
    state: PaymentState | None = None
    create = PaymentCommand(
        **base,
        command_id="cmd_create",
        kind=CommandKind.CREATE,
        fingerprint="0",
        issued_at_ms=1,
        idempotency_key="k",
        amount_minor=1000,
        currency="EUR",
        capture_method="manual",
        fee_basis_points=150,
        fee_fixed_minor=fee_fixed,
    )
    commands: list[PaymentCommand] = [create]
    for number, (move, outcome, amount, final) in enumerate(moves):
        now_ms = (number + 2) * (10**9 if move == "expire" else 1)
        commands.append(
            PaymentCommand(
                **base,
                command_id=command_id(payment, move, str(number)),
                kind=CommandKind.NETWORK_RESULT if move == "answer" else CommandKind(move),
                fingerprint=str(number),
                issued_at_ms=now_ms,
                amount_minor=amount,
                final=final,
                outcome=Outcome(outcome) if move == "answer" else None,
            )
        )
    for command in commands:
        decision = decide(state, _aimed(command, state), Policy())
        state = decision.state
        yield from decision.events


def _aimed(command: PaymentCommand, state: PaymentState | None) -> PaymentCommand:
    """Answers go to the newest open operation, dispute results to the newest dispute."""
    if state is None:
        return command
    changes: dict[str, object] = {}
    pending = [operation for operation in state.operations if operation.pending]
    if command.kind == CommandKind.NETWORK_RESULT and pending:
        operation = pending[-1]
        changes = {"operation_id": operation.key(state.payment_id), "attempt": operation.attempt}
    if command.kind in (CommandKind.WIN_DISPUTE, CommandKind.LOSE_DISPUTE) and state.disputes:
        changes = {"dispute_id": state.disputes[-1].dispute_id}
    return msgspec.structs.replace(command, **changes)


@settings(max_examples=300)
@given(MOVES, st.integers(0, 50))
def test_the_ledger_of_every_history_agrees_with_the_payments_totals(
    moves: list[tuple[str, str, int, bool]], fee_fixed: int
) -> None:
    """After each event: hold, receivable, payable and fees are what the event's totals say."""
    events = list(history([("answer", "approved", 1, False), *moves], fee_fixed))
    disputed = taken = settled = 0
    for count, event in enumerate(events, 1):
        found = sums(list(expected_entries(events[:count])))
        amount = event.amount_minor
        disputed += {"dispute.opened": amount, "dispute.won": -amount}.get(event.type, 0)
        taken += {"dispute.opened": amount, "dispute.won": -amount, "dispute.lost": -amount}.get(
            event.type, 0
        )
        settled += amount if event.type == EventType.SETTLED else 0
        on_hold = event.authorized_minor - event.captured_minor
        kept = event.captured_minor - event.refunded_minor - disputed
        assert found.get((Account.CUSTOMER_FUNDS_IN_FLIGHT, EntryState.PENDING), 0) == -on_hold
        assert found.get((Account.NETWORK_RECEIVABLE, EntryState.PENDING), 0) == on_hold
        assert found.get((Account.NETWORK_RECEIVABLE, EntryState.POSTED), 0) == kept - settled
        assert found.get((Account.FEES_REVENUE, EntryState.POSTED), 0) == -event.fees_minor
        assert found.get((Account.MERCHANT_RESERVE, EntryState.POSTED), 0) == -taken
        assert (
            found.get((Account.MERCHANT_PAYABLE, EntryState.POSTED), 0) == event.fees_minor - kept
        )


def test_the_histories_reach_every_rule() -> None:
    """The property above would prove little if its histories never got to a dispute."""
    moves = [
        ("answer", "approved", 1, False),
        ("capture", "approved", 600, True),
        ("answer", "approved", 1, False),
        ("settle", "approved", 1, False),
        ("refund", "approved", 100, False),
        ("answer", "approved", 1, False),
        ("open_dispute", "approved", 200, False),
        ("win_dispute", "approved", 1, False),
        ("open_dispute", "approved", 200, False),
        ("lose_dispute", "approved", 1, False),
    ]
    types = {event.type for event in history(moves, 0)}
    voided = {e.type for e in history([moves[0], ("void", "approved", 1, False), moves[0]], 0)}
    expired = {e.type for e in history([moves[0], ("expire", "approved", 1, False)], 0)}
    assert set(PAYMENT_RULES) <= types | voided | expired


@given(payment_events(EventType.SETTLED))
def test_a_settlement_by_reconciliation_moves_nothing_since_it_posts_by_line(
    event: PaymentEvent,
) -> None:
    by_lines = msgspec.structs.replace(event, source="reconciliation", fee_minor=0)
    assert transaction_for(by_lines) is None
