"""The root of the command line."""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from cyclopts import App

from paystream.cli.output import print_error

_KNOWN_ERRORS = frozenset(
    {
        "paystream.cli.output.CliError",
        "paystream.operations.breaks.BreakTransitionFailed",
        "paystream.operations.decision_producer.DecisionNotSent",
        "paystream.operations.acls.AclsUnavailable",
        "paystream.operations.topics.TopicsNotCreated",
        "paystream.verify.sources.SourceUnavailable",
        "engine.errors.EngineError",
        "runtime.kafka.TopicUnreadable",
        "runtime.settings.ConfigurationError",
        "schemas.registry.ChangedContract",
        "sinks.audit.migrations.runner.AppliedMigrationChanged",
        "sinks.audit.store.LedgerUnavailable",
        "sinks.status.store.StatusStoreUnavailable",
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
"""Errors of clients whose text says less than the name of the store that is unavailable."""
_COMMANDS = {
    "verify": "paystream.cli.verify:verify",
    "explain": "paystream.cli.explain:explain",
    "sql": "paystream.cli.sql:sql",
    "topics": "paystream.cli.topics:topics",
    "acls": "paystream.cli.acls:acls",
    "migrate": "paystream.cli.migrate:migrate",
    "rebuild": "paystream.cli.rebuild:rebuild",
    "dead-letters": "paystream.cli.dead_letters:dead_letters",
    "breaks": "paystream.cli.breaks:breaks",
    "keys": "paystream.cli.keys:keys",
    "merchant": "paystream.cli.merchant:merchant",
    "decide": "paystream.cli.decide:decide",
    "worker": "paystream.cli.worker:worker",
    "api": "paystream.cli.api:api",
}
"""Command -> where it is; a command is imported when it is called."""
_LOCAL_STACK = "devstack.cli"
"""The commands of the local stack, in a package that an operator's installation does not have."""


def build() -> App:
    """The command line with all its commands."""
    app = App(
        name="paystream",
        help="Run, feed, watch and prove the payment pipeline.",
        result_action="return_int_as_exit_code_else_zero",
    )
    local = _local_stack()
    for name, where in {**_COMMANDS, **(local.COMMANDS if local else {})}.items():
        app.command(where, name=name)
    return app


def _local_stack() -> ModuleType | None:
    """The package that says which commands and errors the local stack adds, where it is there."""
    return import_module(_LOCAL_STACK) if find_spec("devstack") else None


def main() -> None:
    """Entry point: exit code 0 well, 1 something does not hold, 2 cannot run."""
    try:
        code = build()(sys.argv[1:])
    except Exception as error:
        sentence = user_message(error)
        if sentence is None:
            raise
        print_error(sentence)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def user_message(error: Exception) -> str | None:
    """One line of an error that is meant for people; None for a fault of the program."""
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}
    local = _local_stack()
    if not names & (_KNOWN_ERRORS | (local.KNOWN_ERRORS if local else frozenset())):
        return None
    away = next((part for name, part in _STORES.items() if name in names), None)
    if away is not None:
        return f"{away} does not answer. Check its address, the process and its logs."
    cause = error.args[0].str() if "cimpl.KafkaException" in names else str(error)
    return cause.strip().partition("\n")[0] or type(error).__name__
