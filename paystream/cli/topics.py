"""`paystream topics`: what is on the broker, and creating what is missing."""

from pathlib import Path
from typing import Literal

from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import console, print_json
from runtime.kafka_connection import KafkaConnection
from runtime.settings import connections


def topics(
    action: Literal["list", "create", "check"] = "list",
    *,
    replication: int = 1,
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """List topics with their records and consumer lags, create missing ones, or check them.

    `check` compares partitions, copies and settings of each topic with its file; exit code 1 if
    one differs. Nothing that exists is changed.

    Example: paystream topics create --replication 3

    Args:
        action: list, create or check.
        replication: Copies of each partition, when creating; the fewest, when checking.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS")
    if action == "create":
        return _create(connections(env).kafka, replication, json)
    if action == "check":
        return _check(connections(env).kafka, replication, json)
    from paystream.operations.topics_report import print_topics, topics_report

    report = topics_report(connections(env).kafka)
    if json:
        print_json(report)
    else:
        print_topics(report, console)
    return 0


def _check(kafka: KafkaConnection, replication: int, json: bool) -> int:
    from paystream.operations.topics_check import differences

    found = differences(kafka, replication)
    if json:
        print_json([each._asdict() for each in found])
    else:
        table = Table("topic", "what", "wanted", "found", title=f"{len(found)} differences")
        for each in found:
            table.add_row(*each)
        console.print(table)
    return 1 if found else 0


def _create(kafka: KafkaConnection, replication: int, json: bool) -> int:
    from paystream.operations.topics import create_all

    created = create_all(kafka, replication)
    if json:
        print_json({"created": created})
        return 0
    table = Table("created", title=f"{len(created)} topics were missing")
    for name in created:
        table.add_row(name)
    console.print(table)
    return 0
