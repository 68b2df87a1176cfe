"""Deadlines become commands: bounded, not again while one is on its way, again when it was
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.codec import decode
from schemas.headers import CE_ID
from schemas.records import PaymentCommand
from streams.agents.deadlines import deadline_commands
from streams.domain import next_due
from streams.settings import DeadlineSettings
from workers.due_commands import DueCommands


class Table:
    """Every payment, at any time; as the engine's table it repeats what it said."""

    def __init__(self, states: list[Any]) -> None:
        self.states = states

    def due(self, now_ms: int, limit: int) -> list[tuple[str, Any]]:
        due = [(next_due(s).at_ms, s) for s in self.states if next_due(s) is not None]
        due.sort(key=lambda pair: pair[0])
        return [(s.payment_id, s) for at_ms, s in due if at_ms <= now_ms][:limit]


class Broker:
    """Keeps what was sent; refuses while it is down."""

    def __init__(self) -> None:
        self.sent: list[PaymentCommand] = []
        self.down = False

    async def send(self, topic: str, key: str, value: bytes, headers: Mapping[str, bytes]) -> None:
        if self.down:
            raise ConnectionError("no broker")
        command = decode(PaymentCommand, value)
        assert (topic, key) == ("payments.deadlines", command.payment_id)
        assert headers[CE_ID] == command.command_id.encode()
        self.sent.append(command)


@pytest.fixture
def waiting(new_story: Callable[..., Any]) -> list[Any]:
    """Seven payments whose network never answered."""
    stories = [new_story(key=f"order-{number}") for number in range(7)]
    for story in stories:
        story.create()
    return stories


def later(stories: list[Any], seconds: float = 0) -> int:
    return int(max(next_due(s.state).at_ms for s in stories) + seconds * 1000)


def deadlines(stories: list[Any], broker: Broker, **changes: Any) -> DueCommands:
    settings = DeadlineSettings(**changes)
    return deadline_commands(Table([story.state for story in stories]), broker.send, settings)


async def test_nothing_is_sent_before_its_time(waiting: list[Any]) -> None:
    broker = Broker()
    assert await deadlines(waiting, broker).run_due(later(waiting) - 1) == 0
    assert broker.sent == []


async def test_what_is_due_is_sent_once_while_it_is_on_its_way(waiting: list[Any]) -> None:
    broker, now_ms = Broker(), later(waiting)
    ticking = deadlines(waiting, broker, resend_after_seconds=30)
    assert [await ticking.run_due(now_ms + wait) for wait in (0, 500, 29_000)] == [7, 0, 0]
    assert {command.kind for command in broker.sent} == {"resolve_unknown"}
    assert await ticking.run_due(now_ms + 30_000) == 7, "lost ones are sent again"
    assert len({command.command_id for command in broker.sent}) == 7


async def test_a_tick_is_bounded_and_the_rest_follows(waiting: list[Any]) -> None:
    broker, now_ms = Broker(), later(waiting)
    ticking = deadlines(waiting, broker, sends_max=3)
    assert [await ticking.run_due(now_ms + n) for n in range(4)] == [3, 3, 1, 0]
    assert len({command.payment_id for command in broker.sent}) == 7


async def test_the_memory_is_bounded(waiting: list[Any]) -> None:
    broker, now_ms = Broker(), later(waiting)
    ticking = deadlines(waiting, broker, in_flight_max=5)
    assert [await ticking.run_due(now_ms + n) for n in (0, 1, 30_001)] == [5, 0, 5]


async def test_a_broker_that_is_down_costs_a_tick(waiting: list[Any]) -> None:
    broker, now_ms = Broker(), later(waiting)
    ticking = deadlines(waiting, broker)
    broker.down = True
    with pytest.raises(ConnectionError):
        await ticking.run_due(now_ms)
    broker.down = False
    assert await ticking.run_due(now_ms + 500) == 7


async def test_the_next_deadline_of_a_payment_is_another_command(waiting: list[Any]) -> None:
    broker, story = Broker(), waiting[0]
    now_ms = later([story])
    table = Table([story.state])
    ticking = deadline_commands(table, broker.send, DeadlineSettings())
    await ticking.run_due(now_ms)
    story.send(broker.sent[0])
    table.states = [story.state]
    assert await ticking.run_due(later([story])) == 1
    assert broker.sent[0].command_id != broker.sent[1].command_id
