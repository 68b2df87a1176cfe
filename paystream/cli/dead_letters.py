"""`paystream dead-letters`: what could not be processed, and deciding about it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, print_json
from runtime.settings import connections

Action = Literal["list", "show", "replay", "drop"]


def dead_letters(
    action: Action = "list",
    *ids: str,
    all: bool = False,
    note: str = "",
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """List open dead letters, show one, send records back to their topics, or drop them.

    Example: paystream dead-letters replay 3-17 --note "bug 42 is fixed"

    Args:
        action: list, show, replay or drop.
        ids: Which letters, as the list names them.
        all: List also what was replayed or dropped.
        note: Why, for the record; drop needs one.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS")
    if action == "list":
        return _list(env, all, json)
    if not ids:
        raise CliError(
            f"No dead letter to {action} was named. `paystream dead-letters list` shows their ids."
        )
    if action == "show":
        return _show(env, ids, json)
    return _decide(env, action, ids, note, json)


def _list(env: Mapping[str, str], all: bool, json: bool) -> int:
    from paystream.operations.dead_letters import described, letters

    found = letters(connections(env).kafka)
    rows = [described(letter) for letter in found if all or letter.decision is None]
    if json:
        print_json(rows)
        return 0
    names = ("id", "reason", "source", "key", "age_seconds", "decision")
    table = Table(*names, title=f"{len(rows)} dead letters")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in names))
    console.print(table)
    return 0


def _show(env: Mapping[str, str], ids: tuple[str, ...], json: bool) -> int:
    from paystream.operations.dead_letters import letters, shown

    known = {letter.letter_id: letter for letter in letters(connections(env).kafka)}
    if missing := [name for name in ids if name not in known]:
        raise CliError(
            f"There is no dead letter {missing[0]}. `paystream dead-letters list --all` shows ids."
        )
    documents = [shown(known[name]) for name in ids]
    if json:
        print_json(documents)
    else:
        for document in documents:
            console.print_json(data=document)
    return 0


def _decide(
    env: Mapping[str, str], action: Action, ids: tuple[str, ...], note: str, json: bool
) -> int:
    from paystream.operations.dead_letters import DecisionFailed, described, drop, replay

    if action == "drop" and not note:
        raise CliError(
            'The reason is missing. Give it with --note "…"; it is kept with the letter.'
        )
    decide = replay if action == "replay" else drop
    try:
        decided = decide(connections(env).kafka, ids, note)
    except DecisionFailed as error:
        raise CliError(str(error)) from error
    if json:
        print_json([described(letter) for letter in decided])
    else:
        for letter in decided:
            console.print(f"{letter.decision}: {letter.letter_id} ({letter.source})")
    return 0
