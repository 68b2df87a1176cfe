"""What `paystream keys` and `paystream merchant` share: who asks the API, and why."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError

if TYPE_CHECKING:
    from paystream.operations.administration import Administration


@contextmanager
def administration(
    env_file: Path | None, actor: str, reason: str, *, reads: bool
) -> Iterator[Administration]:
    """The API of the stack, asked by the actor; `reads`: nothing changes, so no reason is needed.

    Without an actor it is the user of this machine. Raises CliError, also if the API refuses.
    """
    from paystream.operations.administration import Administration, AdministrationFailed

    env = environment(env_file)
    need(env, "API_URL", "ADMIN_TOKEN")
    if not reads and not reason:
        raise CliError('The reason is missing. Give it with --reason "…"; it is kept for audits.')
    who = actor or getpass.getuser()
    try:
        yield Administration(env["API_URL"], env["ADMIN_TOKEN"], who, reason)
    except AdministrationFailed as error:
        raise CliError(str(error)) from error
