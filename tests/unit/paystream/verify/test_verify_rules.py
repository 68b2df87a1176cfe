"""Each rule holds over a right history, and finds the violation that was planted in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from verify_fixture import PARTITIONS, Shop, open_shop

from paystream.verify import balances, deliveries, tables
from paystream.verify.result import OFFENDERS_MAX, RuleResult
from paystream.verify.run import RULES, Tier, check, rules_of, verify
from runtime.kafka import StoredRecord
from schemas import topics
from schemas.codec import encode
from schemas.enums import CommandKind, EventType, Operation, Outcome
from schemas.partitioning import partition_of
from schemas.records import DeadLetter, Rejection
from streams.state_codec import decode_state, encode_state

BY_NAME = {rule.name: rule for rule in RULES}


def run(name: str, shop: Shop) -> RuleResult:
    return check(BY_NAME[name], shop.dataset())


def test_a_right_history_satisfies_every_rule() -> None:
    report = verify(open_shop().dataset())
    assert {rule.name: rule.violations for rule in report.rules if rule.violations} == {}
    assert {rule.name: rule.skipped_reason for rule in report.rules if rule.skipped_reason} == {}
    assert all(rule.checked > 0 for rule in report.rules)
    assert report.ok


# -- one planted violation (or more) for each rule

Inject = Callable[[Shop], Any]


def _network_line(shop: Shop, operation: str) -> dict[str, Any]:
    return next(line for line in shop.network if line["operation"] == operation)


def _charged_under_another_key(shop: Shop) -> None:
    line = _network_line(shop, Operation.CAPTURE)
    shop.network.append({**line, "idempotency_key": line["idempotency_key"] + "-again"})


def _charged_twice_under_one_key(shop: Shop) -> None:
    shop.network.append(_network_line(shop, Operation.CAPTURE))


def _charged_too_much(shop: Shop) -> None:
    _network_line(shop, Operation.CAPTURE)["amount_minor"] += 1


def _event_without_charge(shop: Shop) -> None:
    shop.network.remove(_network_line(shop, Operation.CAPTURE))


def _refund_without_event(shop: Shop) -> None:
    line = _network_line(shop, Operation.REFUND)
    first, _, _ = line["idempotency_key"].rpartition(":")
    shop.network.append({**line, "idempotency_key": f"{first}:2"})


def _authorized_twice(shop: Shop) -> None:
    line = _network_line(shop, Operation.AUTHORIZE)
    shop.network.append({**line, "idempotency_key": line["idempotency_key"][:-1] + "2"})


def _denied_charge(shop: Shop) -> None:
    at = next(i for i, e in enumerate(shop.events) if e.type == EventType.CAPTURED)
    shop.events[at] = replace(
        shop.events[at], type=EventType.CAPTURE_FAILED, captured_minor=0, fees_minor=0
    )


def _accepted_and_lost(shop: Shop) -> None:
    assert shop.accepted is not None
    shop.accepted.append({"command_id": "cmd_lost", "payment_id": "pay_lost"})


def _command_without_event(shop: Shop) -> None:
    command = shop.commands[-1]
    shop.commands.append(replace(command, command_id="cmd_ignored", payment_id="pay_ignored"))


def _waits_without_due_time(shop: Shop) -> None:
    shop.events[-1] = replace(shop.events[-1], due_at_ms=None)


def _event_was_changed(shop: Shop) -> None:
    shop.events[2] = replace(shop.events[2], amount_minor=shop.events[2].amount_minor + 1)


def _event_is_missing(shop: Shop) -> None:
    shop.events.pop()


def _event_from_nowhere(shop: Shop) -> None:
    shop.commands.pop()


def _sequence_gap(shop: Shop) -> None:
    del shop.events[1]


def _duplicate_event(shop: Shop) -> None:
    shop.events.insert(1, shop.events[0])


def _wrong_event_id(shop: Shop) -> None:
    shop.events[0] = replace(shop.events[0], event_id="evt_other")


def _undecodable_event(shop: Shop) -> None:
    garbage = StoredRecord(topics.PAYMENTS_EVENTS, 0, 99, "pay_x", b"garbage", {}, 0)
    shop.extra_records[topics.PAYMENTS_EVENTS] = [garbage]


def _changelog_differs(shop: Shop) -> None:
    entries = shop.changelogs[tables.PAYMENTS_CHANGELOG]
    key, value = next(iter(entries.items()))
    entries[key] = encode_state(replace(decode_state(value), captured_minor=1))


def _changelog_lacks(shop: Shop) -> None:
    shop.changelogs[tables.PAYMENTS_CHANGELOG].popitem()


def _changelog_invents(shop: Shop) -> None:
    entries = shop.changelogs[tables.PAYMENTS_CHANGELOG]
    entries["pay_invented"] = next(iter(entries.values()))


def _changelog_garbage(shop: Shop) -> None:
    entries = shop.changelogs[tables.PAYMENTS_CHANGELOG]
    entries[next(iter(entries))] = b"\xff\xff"


def _stale_status(shop: Shop) -> None:
    key, value = next(iter(shop.cache.items()))
    shop.cache[key] = json.dumps({**json.loads(value), "sequence": 1, "status": "new"}).encode()


def _missing_status(shop: Shop) -> None:
    shop.cache.popitem()


def _invented_status(shop: Shop) -> None:
    shop.cache["payment:pay_invented"] = b"{}"


def _unbalanced_entry(shop: Shop) -> None:
    entry = shop.entries[0]
    shop.entries[0] = entry._replace(amount_minor=entry.amount_minor + 1)


def _missing_entry(shop: Shop) -> None:
    shop.entries.pop()


def _extra_entry(shop: Shop) -> None:
    shop.entries.append(shop.entries[0]._replace(entry_id="pay_nowhere-1#1"))


def _duplicate_entry(shop: Shop) -> None:
    shop.entries.append(shop.entries[0])


def _other_account(shop: Shop) -> None:
    shop.entries[0] = shop.entries[0]._replace(account="suspense")


def _impossible_event(shop: Shop) -> None:
    at = next(i for i, e in enumerate(shop.events) if e.type == EventType.CAPTURED)
    shop.events[at] = replace(shop.events[at], fee_minor=shop.events[at].amount_minor * 3)


def _forgotten_webhook(shop: Shop) -> None:
    shop.webhooks.pop()


def _lost_delivery(shop: Shop) -> None:
    shop.attempts.pop()


def _webhook_from_nowhere(shop: Shop) -> None:
    invented = replace(shop.webhooks[0], event_id="evt_x", delivery_id="evt_x@we_shop")
    shop.webhooks.append(invented)
    shop.changelogs[deliveries.PENDING_CHANGELOG]["evt_x@we_shop"] = b"pending"


def _paid_twice(shop: Shop) -> None:
    shop.bank.append({**shop.bank[0], "idempotency_key": shop.bank[0]["idempotency_key"] + "#2"})


def _paid_other_amount(shop: Shop) -> None:
    shop.bank[0]["amount_minor"] += 1


def _paid_other_account(shop: Shop) -> None:
    shop.bank[0]["account"] = "acct_thief"


def _paid_from_nowhere(shop: Shop) -> None:
    shop.bank.append({**shop.bank[0], "idempotency_key": "po_invented"})


def _paid_nothing(shop: Shop) -> None:
    shop.bank.clear()


def _paid_what_failed(shop: Shop) -> None:
    shop.payouts[-1] = replace(shop.payouts[-1], type="payout.failed", status="failed")


def _items_do_not_sum(shop: Shop) -> None:
    began = shop.payouts[0]
    shop.payouts[0] = replace(began, amount_minor=began.amount_minor - 1)


def _item_in_two_payouts(shop: Shop) -> None:
    again = replace(shop.payouts[0], payout_id="po_again", event_id="po_again-1")
    shop.payouts.append(again)


def _item_that_nobody_earned(shop: Shop) -> None:
    began = shop.payouts[0]
    shop.payouts[0] = replace(began, items=["pay_nowhere-4", *began.items[1:]])


def _payout_ended_twice(shop: Shop) -> None:
    shop.payouts.append(shop.payouts[-1])


def _ledger_owes_less(shop: Shop) -> None:
    at = next(i for i, e in enumerate(shop.entries) if e.account == "merchant_payable")
    entry = shop.entries[at]
    shop.entries[at] = entry._replace(amount_minor=entry.amount_minor + 10)


def _open_balance_differs(shop: Shop) -> None:
    shop.changelogs[balances.PAYOUTS_CHANGELOG].clear()


def _item_too_few(shop: Shop) -> None:
    shop.items.pop()


def _unread_records(shop: Shop) -> None:
    shop.positions[0] = shop.positions[0]._replace(unread_records=3)


def _open_transaction(shop: Shop) -> None:
    at, unread = shop.positions[0]
    shop.positions[0] = shop.positions[0]._replace(at=at._replace(end=at.stable_end + 2))
    assert unread == 0


def _number_in_topic(shop: Shop) -> None:
    shop.commands[0] = replace(shop.commands[0], reference="card 4111 1111 1111 1111")


def _number_in_header(shop: Shop) -> None:
    headers = {"x-note": b"5555555555554444"}
    record = StoredRecord(topics.MERCHANTS, 0, 0, "mer_shop", b"", headers, 0)
    shop.extra_records[topics.MERCHANTS] = [record]


def _number_in_cache(shop: Shop) -> None:
    shop.cache["session:1"] = b'{"pan": "378282246310005"}'


def _number_in_log(shop: Shop) -> None:
    shop.logs.append(("logs/api.log", b'{"body": "x4242424242424242x"}\n'))


def _number_in_clickhouse(shop: Shop) -> None:
    shop.table_rows.append(("paystream_raw.payment_events", b'["a","6011111111111117","b"]\n'))


def _settled_at_another_amount(shop: Shop) -> None:
    for index, event in enumerate(shop.matching):
        if event.type == "line.settled":
            shop.matching[index] = replace(event, gross_minor=1)


def _line_that_nobody_posted(shop: Shop) -> None:
    shop.matching = [event for event in shop.matching if event.type != "line.settled"]


def _ledger_settled_too_much(shop: Shop) -> None:
    for index, entry in enumerate(shop.entries):
        if entry.transaction_type == "line.settled":
            shop.entries[index] = entry._replace(amount_minor=entry.amount_minor * 2)


def _break_that_nobody_opened(shop: Shop) -> None:
    shop.matching = [event for event in shop.matching if event.break_id is None]


def _break_that_nobody_planted(shop: Shop) -> None:
    shop.injected = []


def _planted_and_not_found(shop: Shop) -> None:
    shop.injected = [*(shop.injected or ()), {"kind": "duplicate", "report_id": "set_1"}]


def _paid_and_not_settled(shop: Shop) -> None:
    shop.events = [event for event in shop.events if event.type != "payment.settled"]


def _event_of_another_source(shop: Shop) -> None:
    """A create that came through the API counts as a producer's."""
    shop.events[0] = replace(shop.events[0], source="producer")


def _event_of_a_kind_that_its_source_may_not_say(shop: Shop) -> None:
    at = next(n for n, e in enumerate(shop.events) if e.command_kind == "network_result")
    shop.events[at] = replace(shop.events[at], source="api")


def _command_on_a_topic_that_may_not_say_it(shop: Shop) -> None:
    """A forged result on the clients' topic that had an effect: the real one is gone."""
    at = next(n for n, c in enumerate(shop.commands) if c.kind == "network_result")
    forged = shop.commands.pop(at)
    stored = StoredRecord(
        topics.PAYMENTS_COMMANDS,
        partition_of(forged.payment_id, PARTITIONS),
        10_000,
        forged.payment_id,
        encode(forged),
        {},
        0,
    )
    shop.extra_records[topics.PAYMENTS_COMMANDS] = [stored]
    at = next(n for n, e in enumerate(shop.events) if e.command_id == forged.command_id)
    shop.events[at] = replace(shop.events[at], source="api")


PLANTS: dict[str, tuple[Inject, ...]] = {
    "charged_once": (
        _charged_under_another_key,
        _charged_twice_under_one_key,
        _charged_too_much,
        _event_without_charge,
        _refund_without_event,
        _authorized_twice,
        _denied_charge,
    ),
    "accepted_has_outcome": (_accepted_and_lost, _command_without_event, _waits_without_due_time),
    "events_are_recomputable": (
        _event_was_changed,
        _event_is_missing,
        _event_from_nowhere,
        _duplicate_event,
    ),
    "sources_are_right": (
        _event_of_another_source,
        _event_of_a_kind_that_its_source_may_not_say,
        _command_on_a_topic_that_may_not_say_it,
    ),
    "sequence_without_gaps": (
        _sequence_gap,
        _duplicate_event,
        _wrong_event_id,
        _undecodable_event,
    ),
    "tables_match_events": (
        _changelog_differs,
        _changelog_lacks,
        _changelog_invents,
        _changelog_garbage,
        _stale_status,
        _missing_status,
        _invented_status,
    ),
    "ledger_balances": (_unbalanced_entry, _missing_entry),
    "ledger_matches_events": (
        _missing_entry,
        _extra_entry,
        _duplicate_entry,
        _other_account,
        _unbalanced_entry,
        _impossible_event,
    ),
    "delivered_or_pending": (_forgotten_webhook, _lost_delivery, _webhook_from_nowhere),
    "paid_once": (
        _paid_twice,
        _paid_other_amount,
        _paid_other_account,
        _paid_from_nowhere,
        _paid_nothing,
        _paid_what_failed,
        _items_do_not_sum,
        _item_in_two_payouts,
        _item_that_nobody_earned,
        _payout_ended_twice,
    ),
    "balances_add_up": (_ledger_owes_less, _open_balance_differs, _item_too_few),
    "reconciliation": (
        _settled_at_another_amount,
        _line_that_nobody_posted,
        _ledger_settled_too_much,
        _break_that_nobody_opened,
        _break_that_nobody_planted,
        _planted_and_not_found,
        _paid_and_not_settled,
    ),
    "offsets_at_end": (_unread_records, _open_transaction),
    "no_card_numbers": (
        _number_in_topic,
        _number_in_header,
        _number_in_cache,
        _number_in_log,
        _number_in_clickhouse,
    ),
}


def test_every_rule_has_a_planted_violation() -> None:
    assert PLANTS.keys() == BY_NAME.keys()


@pytest.mark.parametrize(
    ("name", "inject"),
    [(name, inject) for name, injections in PLANTS.items() for inject in injections],
    ids=lambda value: value if isinstance(value, str) else value.__name__.strip("_"),
)
def test_rule_finds_the_planted_violation(name: str, inject: Inject) -> None:
    shop = open_shop()
    inject(shop)
    result = run(name, shop)
    assert result.violation_count > 0
    assert result.violations
    assert not result.held


# -- what is no violation


def test_a_charge_whose_answer_is_still_awaited_is_known_to_be_open() -> None:
    shop = open_shop()
    shop.send(
        "six",
        CommandKind.CREATE,
        amount_minor=800,
        currency="EUR",
        card="jwe",
        fee_basis_points=0,
        fee_fixed_minor=0,
    )
    shop.answer()
    awaited = shop.requests[-1]
    assert awaited.operation == Operation.CAPTURE
    shop.network.append(
        {
            "idempotency_key": awaited.operation_id,
            "operation": awaited.operation,
            "outcome": Outcome.APPROVED,
            "amount_minor": awaited.amount_minor,
            "currency": awaited.currency,
        }
    )
    assert run("charged_once", shop).held


def test_a_repeated_command_needs_no_event_of_its_own() -> None:
    shop = open_shop()
    shop.decide(shop.commands[0])
    assert run("accepted_has_outcome", shop).held
    assert run("events_are_recomputable", shop).held


def test_a_pending_delivery_is_no_violation_and_is_counted() -> None:
    shop = open_shop()
    waiting = shop.attempts.pop().delivery_id
    shop.changelogs[deliveries.PENDING_CHANGELOG][waiting] = b"pending"
    result = run("delivered_or_pending", shop)
    assert result.held
    assert result.notes == ("1 deliveries wait for their next attempt",)


def test_test_and_live_money_have_balances_of_their_own() -> None:
    shop = Shop()
    create = {"currency": "EUR", "fee_basis_points": 0, "fee_fixed_minor": 0, "card": "jwe"}
    for mode, amount_minor in (("live", 500), ("test", 70), ("test", 30)):
        shop.mode = mode
        shop.send(f"{mode}{amount_minor}", CommandKind.CREATE, amount_minor=amount_minor, **create)
        shop.answer()
        shop.answer()
    shop.settle()
    assert verify(shop.dataset()).violated == ()
    assert [payout.amount_minor for payout in shop.payouts] == [500, 500]
    shop.items[-1] = replace(shop.items[-1], mode="live")
    assert not run("balances_add_up", shop).held


# -- honesty


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("valkey", {"tables_match_events", "no_card_numbers"}),
        ("network", {"charged_once", "reconciliation"}),
        ("bank", {"paid_once"}),
        (
            "clickhouse",
            {
                "ledger_balances",
                "ledger_matches_events",
                "balances_add_up",
                "reconciliation",
                "no_card_numbers",
            },
        ),
        ("files", {"no_card_numbers"}),
    ],
)
def test_a_missing_part_is_said_and_is_not_ok(part: str, names: set[str]) -> None:
    shop = open_shop()
    shop.missing.add(part)
    report = verify(shop.dataset())
    assert {rule.name for rule in report.skipped} == names
    assert all(part in (rule.skipped_reason or "") for rule in report.skipped)
    assert not report.ok
    assert verify(shop.dataset(), allow_skipped=True).ok


def test_a_violation_counts_also_when_skipped_rules_are_allowed() -> None:
    shop = open_shop()
    shop.missing.add("network")
    _unbalanced_entry(shop)
    assert not verify(shop.dataset(), allow_skipped=True).ok


def test_what_was_found_before_evidence_ran_out_is_kept() -> None:
    shop = open_shop()
    _changelog_differs(shop)
    shop.missing.add("valkey")
    result = run("tables_match_events", shop)
    assert result.violation_count == 1
    assert result.skipped_reason is not None
    assert not verify(shop.dataset(), allow_skipped=True).ok


def _cut(shop: Shop, commands: int) -> None:
    """Retention takes the oldest commands of the first payment's partition."""
    partition = partition_of(shop.commands[0].payment_id, PARTITIONS)
    there = [c for c in shop.commands if partition_of(c.payment_id, PARTITIONS) == partition]
    for command in there[:commands]:
        shop.commands.remove(command)
    shop.starts[topics.PAYMENTS_COMMANDS] = {partition: commands}


def test_events_of_commands_that_retention_took_are_taken_as_they_are() -> None:
    shop = open_shop()
    _cut(shop, 2)
    result = run("events_are_recomputable", shop)
    assert result.held
    assert "events are older than any command" in result.notes[0]
    _event_is_missing(shop)
    assert not run("events_are_recomputable", shop).held


def test_commands_that_are_missing_without_retention_are_a_violation() -> None:
    shop = open_shop()
    _cut(shop, 2)
    shop.starts.clear()
    assert not run("events_are_recomputable", shop).held


def test_webhooks_that_retention_took_are_not_missed() -> None:
    shop = open_shop()
    shop.starts[topics.WEBHOOKS_DELIVERIES] = {0: 3}
    del shop.webhooks[:3]
    assert run("delivered_or_pending", shop).held
    shop.starts.clear()
    assert not run("delivered_or_pending", shop).held


def test_without_a_senders_log_the_result_says_what_was_not_compared() -> None:
    shop = open_shop()
    shop.accepted = None
    result = run("accepted_has_outcome", shop)
    assert result.held
    assert "acknowledgements were not compared" in result.notes[0]


def test_the_first_offenders_are_named_and_all_are_counted() -> None:
    shop = open_shop()
    shop.entries.clear()
    result = run("ledger_matches_events", shop)
    assert result.violation_count > OFFENDERS_MAX
    assert len(result.violations) == OFFENDERS_MAX


def test_a_charge_that_was_denied_and_taken_back_is_no_violation() -> None:
    """The network says no and has done it; the merchant captures again; then comes the late yes."""
    shop = open_shop()
    shop.send("twice", "create", amount_minor=900, currency="EUR", capture_method="manual")
    shop.answer()
    capture = shop.send("twice", "capture")
    shop.answer(Outcome.DECLINED)
    shop.network[-1]["outcome"] = Outcome.APPROVED
    assert not run("charged_once", shop).held
    first, line = shop.commands[-1], shop.network[-1]
    again = replace(capture, command_id="cmd_again", issued_at_ms=shop.now_ms, fingerprint="again")
    shop.decide(again)
    shop.answer()
    shop.decide(replace(first, command_id="cmd_late", outcome=Outcome.APPROVED))
    assert shop.requests[-1].operation_id.endswith(":reverse_capture:1")
    assert run("charged_once", shop).held, "about to be taken back"
    shop.answer()
    assert run("charged_once", shop).held
    shop.network.remove(line)
    assert not run("charged_once", shop).held


def test_without_the_counterparties_two_rules_are_left_out() -> None:
    left_out = {rule.name for rule in RULES} - {
        rule.name for rule in rules_of(Tier.LOG, Tier.STORES)
    }
    assert left_out == {"charged_once", "paid_once"}
    assert rules_of(*Tier) == RULES


def test_breaks_at_a_real_network_are_no_violation() -> None:
    """It lists no injected differences; a break there waits for a person."""
    shop = open_shop()
    shop.injected = None
    report = verify(shop.dataset())
    assert report.violated == ()


def _refused(shop: Shop, value: bytes) -> Rejection:
    """A client's record that was refused, and its rejection."""
    topic = topics.PAYMENTS_PRODUCER_COMMANDS
    shop.extra_records[topic] = [StoredRecord(topic, 0, 50, "pay_1", value, {}, 0)]
    rejection = Rejection(
        rejection_id=f"{topic}/0/50",
        topic=topic,
        partition=0,
        offset=50,
        reason="card_number_in_clear",
        detail="A field holds a card number in clear.",
        value_bytes=len(value),
        value_sha256="0" * 64,
        recorded_at_ms=0,
        rejected_at_ms=0,
    )
    stored = StoredRecord(topics.PAYMENTS_REJECTIONS, 0, 0, "", encode(rejection), {}, 0)
    shop.extra_records[topics.PAYMENTS_REJECTIONS] = [stored]
    return rejection


def test_a_refused_number_is_noted_where_it_stands_and_a_violation_elsewhere() -> None:
    shop = open_shop()
    number = b"4242 4242 4242 4242"
    _refused(shop, number)
    result = run("no_card_numbers", shop)
    assert result.held
    assert result.notes == ("1 refused records hold a number until retention",)
    shop.extra_records[topics.PAYMENTS_DEAD_LETTERS] = [
        StoredRecord(topics.PAYMENTS_DEAD_LETTERS, 0, 0, "", number, {}, 0)
    ]
    assert not run("no_card_numbers", shop).held


def test_a_refused_command_has_its_outcome_and_no_event() -> None:
    shop = open_shop()
    forged = replace(shop.commands[0], command_id="cmd_forged", source="producer")
    _refused(shop, encode(forged))
    for name in ("accepted_has_outcome", "events_are_recomputable", "sources_are_right"):
        assert run(name, shop).held, name
    del shop.extra_records[topics.PAYMENTS_REJECTIONS]
    assert not run("events_are_recomputable", shop).held


def test_a_dead_letter_may_have_its_events_by_a_replay_or_none() -> None:
    shop = open_shop()
    command = next(c for c in shop.commands if c.kind == "network_result")
    stands = [
        stored
        for stored in shop.dataset().sources.records(topics.PAYMENTS_NETWORK_RESULTS)
        if stored.value == encode(command)
    ]
    letter = DeadLetter(
        source_app="streams-payments",
        topic=topics.PAYMENTS_NETWORK_RESULTS,
        partition=stands[0].partition,
        offset=stands[0].offset,
        reason_code="handler_failed",
        detail="a fault",
        headers={},
        value=None,
        failed_at_ms=1,
    )
    stored = StoredRecord(topics.PAYMENTS_DEAD_LETTERS, 0, 0, "", encode(letter), {}, 0)
    shop.extra_records[topics.PAYMENTS_DEAD_LETTERS] = [stored]
    assert run("events_are_recomputable", shop).held


def test_a_stray_that_the_readers_gave_up_is_no_gap() -> None:
    shop = open_shop()
    _undecodable_event(shop)
    letter = DeadLetter(
        source_app="sinks-status",
        topic=topics.PAYMENTS_EVENTS,
        partition=0,
        offset=99,
        reason_code="undecodable",
        detail="",
        headers={},
        value=b"garbage",
        failed_at_ms=1,
    )
    stored = StoredRecord(topics.PAYMENTS_DEAD_LETTERS, 0, 0, None, encode(letter), {}, 0)
    shop.extra_records[topics.PAYMENTS_DEAD_LETTERS] = [stored]
    found = run("sequence_without_gaps", shop)
    assert found.held
    assert "1 records of payments.events are no events" in found.notes
