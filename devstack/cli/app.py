"""The root of the command line."""

import sys

from cyclopts import App

from devstack.cli.output import ClearError, say_error
from runtime.settings import BadSetting

_COMMANDS = (
    "up",
    "demo",
    "load",
    "verify",
    "explain",
    "sql",
    "topics",
    "migrate",
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
        app.command(f"devstack.cli.{name}:{name}", name=name)
    return app


def main() -> None:
    """Entry point: exit code 0 well, 1 something does not hold, 2 cannot run."""
    try:
        code = build()()
    except (ClearError, BadSetting) as error:
        say_error(str(error))
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
