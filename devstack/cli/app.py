"""The root of the command line."""

import sys

from cyclopts import App

from devstack.cli.output import say_error

_KNOWN_ERRORS = frozenset(
    {
        "devstack.cli.output.ClearError",
        "devstack.services.child.ChildFailedError",
        "devstack.services.kafka_jars.JarsMissingError",
        "devstack.services.ports.NoFreePortError",
        "devstack.supervisor.state_dir.StateDirInUseError",
        "devstack.supervisor.supervisor.GaveUpError",
        "devstack.supervisor.supervisor.StartFailedError",
        "devstack.topics.TopicsNotCreated",
        "devstack.traffic.api_client.GaveUpError",
        "devstack.traffic.registration.RegistrationError",
        "devstack.traffic.settling.NotSettledError",
        "devstack.verify.sources.EvidenceMissing",
        "engine.errors.EngineError",
        "runtime.kafka.TopicUnreadable",
        "runtime.settings.BadSetting",
        "schemas.registry.ChangedContract",
        "sinks.audit.migrations.runner.AppliedMigrationChanged",
        "sinks.audit.store.StoreUnavailable",
        "sinks.status.store.StoreUnavailable",
        "cimpl.KafkaException",
        "clickhouse_connect.driver.exceptions.ClickHouseError",
        "httpx2.HTTPError",
        "redis.exceptions.RedisError",
    }
)
"""Errors whose message is for people, by name: none is imported before it is raised."""
_STORES = {
    "clickhouse_connect.driver.exceptions.OperationalError": "ClickHouse",
    "redis.exceptions.ConnectionError": "Valkey",
    "redis.exceptions.TimeoutError": "Valkey",
}
"""Errors of clients that tell people less than the name of the store that is away."""
_COMMANDS = (
    "up",
    "demo",
    "load",
    "verify",
    "explain",
    "sql",
    "topics",
    "migrate",
    "rebuild",
    "dead-letters",
    "breaks",
    "close-day",
    "worker",
    "api",
    "doctor",
    "fetch",
    "generate",
)


def build() -> App:
    """The command line with all its commands; a command is imported when it is asked for."""
    app = App(
        name="paystream",
        help="Run, feed, watch and prove the payment pipeline.",
        result_action="return_int_as_exit_code_else_zero",
    )
    for name in _COMMANDS:
        module = name.replace("-", "_")
        app.command(f"devstack.cli.{module}:{module}", name=name)
    return app


def main() -> None:
    """Entry point: exit code 0 well, 1 something does not hold, 2 cannot run."""
    try:
        code = build()(sys.argv[1:])
    except Exception as error:
        sentence = known_sentence(error)
        if sentence is None:
            raise
        say_error(sentence)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def known_sentence(error: Exception) -> str | None:
    """One line of an error that is meant for people; None for a fault of the program."""
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}
    if not names & _KNOWN_ERRORS:
        return None
    away = next((part for name, part in _STORES.items() if name in names), None)
    if away is not None:
        return f"{away} does not answer: is the stack up? See `paystream doctor` and its logs."
    cause = error.args[0].str() if "cimpl.KafkaException" in names else str(error)
    return cause.strip().partition("\n")[0] or type(error).__name__
