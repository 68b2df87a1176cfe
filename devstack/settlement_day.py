"""Having the simulated network close its day now, and waiting until all of it is reconciled."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx2

from paystream.operations.lag import wait_caught_up
from runtime.kafka import read_topic
from runtime.kafka_connection import KafkaConnection
from runtime.settings import connections
from schemas.codec import decode
from schemas.enums import ReconciliationEventType as Type
from schemas.records import ReconciliationEvent, SettlementLine
from schemas.topics import NETWORK_SETTLEMENTS, RECONCILIATION_EVENTS

_TIMEOUT_SECONDS = 30.0
IDLE_SECONDS = 3.0
"""Longer than the pause between two polls of the bank in a local stack."""
_CHECK_SECONDS = 0.5
_POSTINGS = (Type.LINE_SETTLED, Type.LINE_SUSPENDED)


class DayNotSettled(Exception):
    """The network refused, or reconciliation did not get through; the message says why."""


def close_day(
    network_url: str, differences: Mapping[str, int], published_at_ms: int | None = None
) -> list[dict[str, Any]]:
    """Close the network's day; returns the reports that it published. Raises DayNotSettled.

    `differences`: how many of each kind to inject; `published_at_ms`: the time to publish at, which
    may be days ahead, so that what was held back is late.
    """
    body = {"differences": dict(differences), "published_at_ms": published_at_ms}
    try:
        answer = httpx2.post(
            f"{network_url}/v1/settlements/close", json=body, timeout=_TIMEOUT_SECONDS
        )
    except httpx2.HTTPError as error:
        raise DayNotSettled(
            f"{network_url} does not answer ({error}). Check that the local stack is up."
        ) from error
    if answer.status_code != httpx2.codes.OK:
        raise DayNotSettled(answer.json().get("message", f"HTTP {answer.status_code}"))
    reports: list[dict[str, Any]] = answer.json()["reports"]
    return reports


def wait_reconciled(
    env: Mapping[str, str], reports: list[dict[str, Any]], timeout_seconds: float = 120.0
) -> int:
    """Until these reports were read and nothing has changed for a while; lines that are posted.

    Raises DayNotSettled, TopicUnreadable.
    """
    kafka = connections(env).need("kafka_bootstrap_servers").kafka
    wanted = {report["report_id"]: int(report["lines"]) for report in reports}
    end = time.monotonic() + timeout_seconds
    idle_since, seen = time.monotonic(), -1
    while True:
        read, events = _lines_read(kafka), _events(kafka)
        unread = sum(found.records for found in wait_caught_up(kafka, _CHECK_SECONDS))
        through = all(read[name] >= count for name, count in wanted.items())
        if not through or unread or seen != len(events):
            idle_since, seen = time.monotonic(), len(events)
        elif time.monotonic() - idle_since > IDLE_SECONDS:
            return len({e.line_id for e in events if e.type in _POSTINGS and e.report_id in wanted})
        if time.monotonic() > end:
            raise DayNotSettled(
                f"Not every line was matched in {timeout_seconds:.0f} s. Check that the worker"
                " `reconciliation` runs; `paystream topics` shows the lags."
            )
        time.sleep(_CHECK_SECONDS)


def _lines_read(kafka: KafkaConnection) -> Counter[str]:
    lines = {
        line.line_id: line.report_id
        for stored in read_topic(kafka, NETWORK_SETTLEMENTS)
        for line in [decode(SettlementLine, stored.value or b"")]
    }
    return Counter(lines.values())


def _events(kafka: KafkaConnection) -> list[ReconciliationEvent]:
    return [
        decode(ReconciliationEvent, stored.value or b"")
        for stored in read_topic(kafka, RECONCILIATION_EVENTS)
    ]
