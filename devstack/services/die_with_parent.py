"""Run a command that dies with its parent: `python -I -S die_with_parent.py PARENT_PID COMMAND…`.

Asks the kernel for SIGKILL at the death of the parent (Linux; elsewhere only the reaper
ends children), then becomes the command. A program of its own, so that no Python code runs
between fork and exec of a parent with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Never returns: exits 1 if the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(arguments[0]):
        sys.exit(1)
    os.execvp(arguments[1], arguments[1:])  # noqa: S606 - the supervisor's own command, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
