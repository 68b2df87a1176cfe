"""`paystream decide`: what a person decides about one payment."""

import getpass
from pathlib import Path
from typing import Literal

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console

Kind = Literal[
    "capture",
    "void",
    "refund",
    "resolve_unknown",
    "open_dispute",
    "win_dispute",
    "lose_dispute",
]


def decide(
    kind: Kind,
    payment_id: str,
    *,
    reason: str,
    amount_minor: int | None = None,
    operation_id: str | None = None,
    dispute_id: str | None = None,
    actor: str = "",
    env_file: Path | None = None,
) -> int:
    """Send an operator's command about a payment; its outcome is an event of the payment.

    Example: paystream decide resolve_unknown pay_… --reason "the network confirmed by phone"

    Args:
        kind: What to do.
        payment_id: The payment.
        reason: Why, for the record; each decision needs one.
        amount_minor: Amount in minor units; all that is left without it.
        operation_id: The operation that resolve_unknown inquires about.
        dispute_id: The dispute that is opened, won or lost.
        actor: Who decides; the user of this machine if left out.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.operations.payment_commands import send_operator_command
    from runtime.settings import connections

    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS")
    if "dispute" in kind and not dispute_id:
        raise CliError(f"{kind} needs a dispute. Name it with --dispute-id dsp_…")
    command = send_operator_command(
        connections(env).kafka,
        payment_id,
        kind,
        actor=actor or getpass.getuser(),
        reason=reason,
        amount_minor=amount_minor,
        operation_id=operation_id,
        dispute_id=dispute_id,
    )
    console.print(f"{kind} is in Kafka as {command.command_id}.")
    console.print(f"paystream explain {payment_id} shows what came of it.")
    return 0
