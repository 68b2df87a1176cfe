"""`paystream breaks`: differences that reconciliation found, and deciding about them."""

import getpass
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, print_json
from runtime.settings import connections

Action = Literal["list", "acknowledge", "reopen", "resolve", "write-off"]


def breaks(
    action: Action = "list",
    *ids: str,
    all: bool = False,
    reason: str = "",
    actor: str = "",
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """List differences between our book, the network and the bank, or move them to a state.

    Example: paystream breaks resolve brk_… --reason "the network pays it tomorrow"

    Args:
        action: What to do; resolve leaves a difference in suspense, write-off takes it as cost.
        ids: Which breaks, as the list names them.
        all: List also what is closed.
        reason: Why, for the record; each decision needs one.
        actor: Who decides; the user of this machine if left out.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS")
    if action == "list":
        return _list(env, all, json)
    if not ids:
        raise CliError(f"No break to {action} was named. `paystream breaks list` shows their ids.")
    if not reason:
        raise CliError(
            'The reason is missing. Give it with --reason "…"; it is kept with the break.'
        )
    return _move(env, action, ids, actor or getpass.getuser(), reason, json)


def _list(env: Mapping[str, str], all: bool, json: bool) -> int:
    from paystream.operations.breaks import breaks as found
    from paystream.operations.breaks import described

    rows = [described(event) for event in found(connections(env).kafka, closed=all)]
    if json:
        print_json(rows)
        return 0
    names = ("id", "kind", "state", "of", "expected", "reported", "age_seconds", "actor")
    table = Table(*names, title=f"{len(rows)} breaks")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in names))
    console.print(table)
    return 0


def _move(
    env: Mapping[str, str],
    action: Action,
    ids: tuple[str, ...],
    actor: str,
    reason: str,
    json: bool,
) -> int:
    from paystream.operations.breaks import described, move
    from schemas.enums import BreakState

    states = {
        "acknowledge": BreakState.ACKNOWLEDGED,
        "reopen": BreakState.OPEN,
        "resolve": BreakState.RESOLVED,
        "write-off": BreakState.WRITTEN_OFF,
    }
    kafka = connections(env).kafka
    moved = [move(kafka, each, states[action], actor, reason) for each in ids]
    if json:
        print_json([described(event) for event in moved])
    else:
        for event in moved:
            console.print(f"{event.break_state}: {event.break_id} ({event.break_kind})")
    return 0
