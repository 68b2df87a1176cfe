"""What is on the broker: topics with their records, and how far each consumer group is."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from rich.console import Console
from rich.table import Table

from runtime import consumer_lag
from runtime.kafka_connection import KafkaConnection
from schemas.topics import TOPICS
from workers.catalogue import GROUPS

Report = dict[str, Any]


def topics_report(kafka: KafkaConnection) -> Report:
    """Topics (partitions, offsets kept, lag per group) and groups (lag in all).

    `offsets` counts what the log keeps: records, and a marker per transaction. Topics of the
    catalogue that do not exist are listed under `missing`. Raises TopicUnreadable.
    """
    client = consumer_lag.admin(kafka)
    existing = consumer_lag.partitions(client)
    where = [(topic, p) for topic, numbers in existing.items() for p in numbers]
    starts, ends = (consumer_lag.ends(client, where, spec) for spec in ("start", "end"))
    lags: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for at in consumer_lag.positions(kafka, GROUPS):
        lags[at.topic][at.group] += at.lag
    topics = [
        {
            "name": name,
            "purpose": TOPICS[name].purpose if name in TOPICS else "",
            "partitions": len(numbers),
            "offsets": sum(ends[name, p] - starts[name, p] for p in numbers),
            "lags": dict(lags.get(name, {})),
        }
        for name, numbers in existing.items()
    ]
    totals = {g: sum(of.get(g, 0) for of in lags.values()) for g in GROUPS}
    missing = sorted(TOPICS.keys() - existing.keys())
    return {"topics": topics, "groups": totals, "missing": missing}


def print_topics(report: Report, console: Console | None = None) -> None:
    """The report for people."""
    console = console or Console()
    table = Table(title="topics", title_justify="left")
    for name in ("topic", "partitions", "offsets", "behind", "purpose"):
        numeric = name in ("partitions", "offsets")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=name == "topic")
    for topic in report["topics"]:
        table.add_row(
            topic["name"],
            str(topic["partitions"]),
            f"{topic['offsets']:,}",
            ", ".join(f"{g} {lag:,}" for g, lag in sorted(topic["lags"].items()) if lag) or "-",
            topic["purpose"],
        )
    console.print(table)
    lags = ", ".join(f"{group} {lag:,}" for group, lag in report["groups"].items())
    console.print(f"lag per consumer group: {lags}", highlight=False)
    if report["missing"]:
        console.print(
            f"missing: {', '.join(report['missing'])} (`paystream topics create` makes them)",
            style="yellow",
        )
