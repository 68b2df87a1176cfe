"""Output of the commands: tables for people, JSON for machines, one message for an error."""

import json
import os
import sys

from rich.console import Console
from rich.markup import escape

PIPE_COLUMNS = 160
"""Width of tables that go into a file or a pipe, where rich would assume 80."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS


console = Console(width=_width())
error_console = Console(stderr=True)


class CliError(Exception):
    """The command cannot go on; the message is a sentence that says what to do."""


def print_error(sentence: str) -> None:
    """One sentence on standard error."""
    error_console.print(
        f"[bold red]paystream:[/] {escape(sentence)}", highlight=False, soft_wrap=True
    )


def warn(sentence: str) -> None:
    """A sentence on standard error about what may go wrong."""
    error_console.print(f"[yellow]warning:[/] {escape(sentence)}", highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """The value as one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
