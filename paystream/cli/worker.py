"""`paystream worker`: one worker process in the foreground."""

from pathlib import Path

from paystream.cli.environment import environment
from paystream.cli.output import CliError


def worker(name: str, *, instance_id: str = "0", env_file: Path | None = None) -> int:
    """Run one worker until SIGTERM. `paystream worker list` names them.

    Example: paystream worker payments --instance-id 1

    Args:
        name: Which worker, or `list`.
        instance_id: Stable id among the workers of this kind; two live workers never share one.
        env_file: Addresses of the stack, as written by `paystream up`.
    """
    from paystream.cli.output import console
    from workers.catalogue import WORKERS
    from workers.main import run

    if name == "list":
        for known in WORKERS.values():
            console.print(f"{known.name:<16}{known.purpose}", highlight=False)
        return 0
    if name not in WORKERS:
        raise CliError(f"There is no worker {name!r}. Choose one of {', '.join(WORKERS)}.")
    return run(name, instance_id, environment(env_file))
