"""`paystream worker`: one worker process in the foreground."""

from pathlib import Path

from devstack.cli.environment import environment
from devstack.cli.output import ClearError


def worker(name: str, *, slot: str = "0", env_file: Path | None = None) -> int:
    """Run one worker until SIGTERM: payments, network, merchants, audit, webhooks, payouts, status.

    Example: paystream worker payments --slot 1

    Parameters
    ----------
    name: Which worker.
    slot: Stable name among the workers of this kind; two live workers never share one.
    env_file: Addresses of the stack, as written by `paystream up`.
    """
    from devstack.worker import WORKERS, run

    if name not in WORKERS:
        raise ClearError(f"there is no worker {name!r}: choose one of {', '.join(WORKERS)}.")
    return run(name, slot, environment(env_file))
