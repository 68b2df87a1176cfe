"""`paystream install-kafka`: download Kafka's jars, once per machine."""

from rich.progress import Progress

from paystream.cli.output import CliError, console


def install_kafka() -> int:
    """Download Kafka's jars (44 MB, once per machine) and check them against the lock.

    Example: paystream install-kafka
    """
    from devstack.services.kafka_jars import JarsMissingError
    from devstack.services.kafka_jars import fetch as fetch_jars

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("Apache Kafka", total=None)

        def show(done: int, total: int, name: str) -> None:
            progress.update(task, completed=done, total=total, description=f"Apache Kafka: {name}")

        try:
            fetch_jars(show)
        except JarsMissingError as error:
            raise CliError(str(error)) from error
    return 0
