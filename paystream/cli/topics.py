"""`paystream topics`: what is on the broker, and creating what is missing."""

from pathlib import Path
from typing import Literal

from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, print_json
from runtime.kafka_connection import KafkaConnection
from runtime.settings import connections


def topics(
    action: Literal["list", "create"] = "list",
    *,
    replication: int = 1,
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """List topics with their records and consumer lags, or create those that are missing.

    Example: paystream topics create --replication 3

    Args:
        action: list or create.
        replication: Copies of each partition, when creating.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS")
    if action == "create":
        return _create(connections(env).kafka, replication, json)
    from paystream.operations.topics_report import print_topics, topics_report

    report = topics_report(connections(env).kafka)
    if json:
        print_json(report)
    else:
        print_topics(report, console)
    return 0


def _create(kafka: KafkaConnection, replication: int, json: bool) -> int:
    from paystream.operations.topics import TopicsNotCreated, create_all

    try:
        created = create_all(kafka, replication)
    except TopicsNotCreated as error:
        raise CliError(str(error)) from error
    if json:
        print_json({"created": created})
        return 0
    table = Table("created", title=f"{len(created)} topics were missing")
    for name in created:
        table.add_row(name)
    console.print(table)
    return 0
