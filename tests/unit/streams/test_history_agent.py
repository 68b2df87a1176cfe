"""Questions for histories: answered whole or later, never in part; and what a history carries."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from engine import Retry
from runtime.clock import now_ms
from schemas.codec import decode, encode
from schemas.records import HistoryRequest, PaymentCommand
from streams.agents.event_store import EventStoreUnavailable
from streams.agents.history import HistoryCallHandler
from streams.domain.history_codec import (
    PACKED_BYTES_MAX,
    HistoryMismatch,
    HistoryTooLarge,
    pack,
    unpack,
)
from streams.settings import HistorySettings

SETTINGS = HistorySettings(retry_seconds=0.5, retry_seconds_max=8.0)

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Asked(NamedTuple):
    """A request as the parallel consumer passes it."""

    value: HistoryRequest
    timestamp_ms: int
    headers: dict[str, bytes]


class Store:
    """Answers with what it has; an Exception is raised instead."""

    def __init__(self, *answers: list[bytes] | Exception) -> None:
        self.answers = list(answers)

    async def records(self, merchant_id: str, payment_id: str, sequence: int) -> list[bytes]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer[:sequence]


def asked(sequence: int, attempt: int = 1, age_seconds: float = 0) -> Asked:
    request = HistoryRequest(
        payment_id="pay_1",
        merchant_id="mer_1",
        mode="test",
        sequence=sequence,
        attempt=attempt,
        requested_at_ms=1,
        command_id="cmd_1",
    )
    return Asked(request, now_ms() - int(age_seconds * 1000), {"traceparent": TRACE})


async def waits(agent: HistoryCallHandler, question: Asked) -> float:
    with pytest.raises(Retry) as later:
        await agent.call(question)  # type: ignore[arg-type] # the twin of a Record
    return later.value.seconds


def records_of(story: Any) -> list[bytes]:
    story.create()
    story.result("approved")
    story.result("approved", "capture")
    return [encode(event) for event in story.events]


async def test_the_whole_history_becomes_one_command(story: Any) -> None:
    records = records_of(story)
    agent = HistoryCallHandler(Store(records), SETTINGS)
    [out] = await agent.call(asked(len(records), attempt=1))  # type: ignore[arg-type] # as above
    command = decode(PaymentCommand, out.value or b"")
    assert (out.topic, out.key) == ("history.results", "pay_1")
    assert out.headers["traceparent"] == TRACE
    assert (command.kind, command.source, command.attempt) == ("history", "history", 1)
    assert unpack(command.history) == story.events


async def test_a_store_that_is_away_or_behind_is_asked_later_and_later(story: Any) -> None:
    records = records_of(story)
    away = EventStoreUnavailable("no connection")
    agent = HistoryCallHandler(Store(*[away] * 6, records[:-1], records[:-1], records), SETTINGS)
    pauses = [await waits(agent, asked(len(records))) for _ in range(6)]
    assert pauses == [0.5, 1, 2, 4, 8, 8]
    assert await waits(agent, asked(len(records))) == 0.5
    assert 3 <= await waits(agent, asked(len(records), age_seconds=3)) < 4
    assert await agent.call(asked(len(records)))  # type: ignore[arg-type] # as above


async def test_an_answer_that_did_not_fit_is_asked_for_again_after_pauses(
    story: Any,
) -> None:
    records = records_of(story)
    agent = HistoryCallHandler(Store(records), SETTINGS)
    assert 0 < await waits(agent, asked(len(records), attempt=2)) <= 0.5
    assert 3 < await waits(agent, asked(len(records), attempt=5)) <= 4
    assert 7 < await waits(agent, asked(len(records), attempt=50)) <= 8
    assert await agent.call(asked(len(records), attempt=5, age_seconds=5))  # type: ignore[arg-type] # as above


@pytest.mark.parametrize(
    "packed",
    [None, b"", b"no zlib", pack([b"no avro"]), pack([])[:-1], pack([]) + b"x"],
)
def test_what_is_no_history_is_said(packed: bytes | None) -> None:
    with pytest.raises(HistoryMismatch):
        unpack(packed)


def test_a_history_has_a_largest_size() -> None:
    import random

    noise = random.Random(1).randbytes(PACKED_BYTES_MAX)
    with pytest.raises(HistoryTooLarge, match="fit into a command"):
        pack([noise, b"one more"])
