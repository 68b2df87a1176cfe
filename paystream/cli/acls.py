"""`paystream acls`: what each process may do on Kafka."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from paystream.cli.environment import environment, need
from paystream.cli.output import console, print_json
from runtime.settings import connections

if TYPE_CHECKING:
    from paystream.operations.acls import Acl, Comparison


def acls(
    *,
    apply: bool = False,
    check: bool = False,
    commands: bool = False,
    prefix: str = "",
    producer: tuple[str, ...] = (),
    json: bool = False,
    env_file: Path | None = None,
) -> int:
    """List the Kafka rights of each process, put them on a cluster, or compare with it.

    They derive from the topic files and the names of the workers' groups. Each process has a user
    of its own: its worker group (`streams-payments`), `ingest_api`, `operators`, `replay`,
    `verify`, `console`, `analysts`, and each producer.

    Example: paystream acls --apply --producer shop-importer

    Args:
        apply: Add what is missing on the cluster; nothing is removed.
        check: Compare with the cluster; exit code 1 if a right is missing or too much.
        commands: Print lines for Kafka's own kafka-acls.
        prefix: Stands before each user's name.
        producer: User of a producer; one for each. Without it there is one user `producers`.
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.operations import acls as on_cluster

    wanted = on_cluster.wanted(prefix, producer)
    if commands:
        for acl in wanted:
            console.print(on_cluster.as_command(acl), soft_wrap=True, highlight=False, markup=False)
        return 0
    if not apply and not check:
        _show("rights", wanted, json)
        return 0
    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS")
    kafka = connections(env).kafka
    if apply:
        _show("added", on_cluster.apply(kafka, wanted), json)
    return _check(on_cluster.compare(kafka, wanted), json) if check else 0


def _check(found: "Comparison", json: bool) -> int:
    if json:
        print_json(msgspec.to_builtins(found._asdict()))
    else:
        _show("missing", found.missing, json)
        _show("too much", found.surplus, json)
    return 1 if found.missing or found.surplus else 0


def _show(what: str, found: "list[Acl]", json: bool) -> None:
    if json:
        print_json([acl._asdict() for acl in found])
        return
    table = Table("user", "resource", "name", "operation", title=f"{len(found)} {what}")
    for acl in found:
        name = f"{acl.name}*" if acl.pattern == "PREFIXED" else acl.name
        who = acl.principal if acl.permission == "ALLOW" else f"{acl.principal} ({acl.permission})"
        table.add_row(who, acl.resource.lower(), name, acl.operation.lower())
    console.print(table)
