"""`paystream explain`: the whole story of one payment."""

from pathlib import Path

from paystream.cli.environment import environment, need
from paystream.cli.output import CliError, console, print_json


def explain(payment_id: str, *, json: bool = False, env_file: Path | None = None) -> int:
    """Print commands, events, network attempts, ledger entries, deliveries, payout of a payment.

    Example: paystream explain pay_01hzy3…

    Args:
        payment_id: pay_…
        json: Print JSON.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.operations.payment_timeline import explain as story_of
    from paystream.operations.payment_timeline import print_story

    env = environment(env_file)
    need(env, "KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL")
    with console.status(f"reading about {payment_id}"):
        story = story_of(env, payment_id)
    if not story["commands"] and not story["events"]:
        raise CliError(f"Nothing is known of {payment_id}. Check the id.")
    if json:
        print_json(story)
    else:
        print_story(story, console)
    return 0
