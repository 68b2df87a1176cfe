"""The scan that finds inactive payments: bounded, once each, only in owned partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from engine import EngineApp, TransactionalTable
from schemas.codec import decode
from schemas.records import PaymentCommand
from streams.agents.archiving import ArchiveScheduler
from streams.domain import PaymentState, Policy
from streams.domain.archive import archive_due_at_ms
from streams.settings import ArchiveSettings
from streams.state_codec import decode_state, encode_state

POLICY = Policy(archive_after_seconds=100)
NOW_MS = 1_800_000_000_000
INACTIVE = PaymentState(
    payment_id="", merchant_id="mer_1", mode="test", status="captured", sequence=4
)


def table_of(**payments: tuple[int, int]) -> TransactionalTable:
    """A real table with three partitions, all of them owned; payment -> (partition, age)."""
    app = EngineApp("archive-scan", bootstrap_servers="127.0.0.1:1", topic_partitions=3)
    table = app.transactional_table("payments", encode=encode_state, decode=decode_state)
    table.assign(frozenset(range(3)))
    for number in range(3):
        table.partition_state(number)
    for key, (number, age_seconds) in payments.items():
        changed_ms = NOW_MS - age_seconds * 1000
        state = replace(INACTIVE, payment_id=key, updated_at_ms=changed_ms)
        table.partition_state(number).store.apply([(key, encode_state(state))], 1)
    return table


class Sent(list[PaymentCommand]):
    """What was sent."""

    async def __call__(
        self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes]
    ) -> None:
        assert topic == "payments.deadlines"
        self.append(decode(PaymentCommand, value))
        assert self[-1].payment_id == key


def archiving(table: TransactionalTable, sent: Sent, **settings: Any) -> ArchiveScheduler:
    return ArchiveScheduler(table, sent, POLICY, ArchiveSettings(**settings))


async def test_every_payment_that_has_rested_long_enough_is_sent_once_per_scan() -> None:
    table, sent = table_of(a=(0, 101), b=(1, 100), c=(2, 99), d=(2, 500)), Sent()
    scan = archiving(table, sent, scan_interval_seconds=10)
    for _ in range(6):
        await scan.run_due(NOW_MS)
    assert sorted(command.payment_id for command in sent) == ["a", "b", "d"]
    assert {(c.kind, c.source, c.issued_at_ms) for c in sent} == {("archive", "archive", NOW_MS)}
    for _ in range(6):
        await scan.run_due(NOW_MS + 10_000)
    assert sorted(command.payment_id for command in sent) == sorted("abdabcd")
    assert len({command.command_id for command in sent}) == 4


async def test_a_tick_looks_at_no_more_than_it_may() -> None:
    table, sent = table_of(**{f"pay{n}": (0, 200) for n in range(25)}), Sent()
    scan = archiving(table, sent, scan_entries_max=10)
    assert [await scan.run_due(NOW_MS) for _ in range(4)] == [10, 10, 5, 0]


async def test_what_goes_to_another_worker_or_goes_away_is_left_alone() -> None:
    table, sent = table_of(a=(0, 200), b=(2, 200), c=(2, 200), d=(1, 200)), Sent()
    scan = archiving(table, sent, scan_entries_max=1)
    assert await scan.run_due(NOW_MS) == 1
    table.assign(frozenset({0, 1}))
    table.partition_state(1).store.clear()
    assert [await scan.run_due(NOW_MS) for _ in range(3)] == [1, 0, 0]
    assert sent[-1].payment_id == "a"


@pytest.mark.parametrize(
    ("changes", "rests"),
    [
        ({}, True),
        ({"status": "settled"}, True),
        ({"status": "voided"}, True),
        ({"status": "expired"}, True),
        ({"status": "declined"}, True),
        ({"status": "failed"}, True),
        ({"status": "new"}, True),
        ({"status": "authorized"}, False),
        ({"status": "partially_captured"}, False),
        ({"status": "requires_action"}, False),
        ({"status": "unknown"}, False),
        ({"status": "capturing"}, False),
    ],
)
def test_only_a_state_in_which_nothing_happens_by_itself_may_go(
    changes: dict[str, str], rests: bool
) -> None:
    state = replace(INACTIVE, updated_at_ms=NOW_MS, **changes)
    wanted = NOW_MS + 100_000 if rests else None
    assert archive_due_at_ms(state, POLICY) == wanted


def test_a_refund_under_way_and_an_open_dispute_keep_a_payment(story: Any) -> None:
    story.create()
    story.result("approved")
    story.result("approved", "capture")
    assert archive_due_at_ms(story.state, POLICY) is None, "the settlement is waited for"
    story.tell("settle")
    assert archive_due_at_ms(story.state, POLICY) is not None
    story.tell("refund", amount_minor=100)
    assert archive_due_at_ms(story.state, POLICY) is None
    story.result("approved", "refund")
    story.tell("open_dispute", amount_minor=100, dispute_id="dsp_1")
    assert archive_due_at_ms(story.state, POLICY) is None
    story.tell("win_dispute", dispute_id="dsp_1")
    assert archive_due_at_ms(story.state, POLICY) is not None
