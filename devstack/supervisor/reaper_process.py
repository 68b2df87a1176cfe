"""Ends what is left when the supervisor is gone: `python -I -S reaper_process.py`.

Reads `+GROUP` and `-GROUP` lines from the supervisor; at the end of the pipe (the supervisor
ended, however) it kills every process group that was named and not taken back. The kernel kills
the direct children by itself; this one reaches their children, and works where the kernel does
not offer it.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Ends with the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
