"""`paystream rebuild`: a store anew from the log."""

import asyncio
from pathlib import Path
from typing import Literal

import msgspec

from devstack.cli.environment import environment, need
from devstack.cli.output import ClearError, console, error_console, print_json


def rebuild(
    what: Literal["status"] = "status", *, json: bool = False, env_file: Path | None = None
) -> int:
    """Write Valkey's payment views and command outcomes anew from payments.events.

    It may run beside a running stack: an older view never takes the place of a newer one. Merchants
    need no rebuilding: every process reads them from the topic `merchants` when it starts.

    Example: paystream rebuild status

    Parameters
    ----------
    what: status.
    json: Print JSON.
    env_file: Addresses of the stack, as written by `paystream up`.
    """
    from devstack.rebuild_status import NotRebuilt, rebuild_status

    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")
    with error_console.status("reading payments.events") as status:

        def show(done: int, of: int) -> None:
            status.update(f"partition {done} of {of} is rebuilt")

        try:
            rebuilt = asyncio.run(rebuild_status(env, show))
        except NotRebuilt as error:
            raise ClearError(str(error)) from error
    if json:
        print_json(msgspec.to_builtins(rebuilt))
    else:
        console.print(
            f"{rebuilt.payments} payments: {rebuilt.written} views written, the others were newer;"
            f" {rebuilt.outcomes} outcomes of commands",
            highlight=False,
        )
    return 0
