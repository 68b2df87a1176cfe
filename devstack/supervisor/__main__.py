"""`python -m devstack.supervisor`: the stack without the command line's dress."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from devstack.supervisor import UpOptions, run_up
from devstack.supervisor.options import DEFAULT_STATE_DIR


def main() -> int:
    """Parse the flags of `paystream up` and run."""
    parser = argparse.ArgumentParser(prog="devstack.supervisor", description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=DEFAULT_STATE_DIR)
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    flags = parser.parse_args()
    return run_up(UpOptions(flags.state_dir, flags.env_file, flags.brokers, flags.workers))


if __name__ == "__main__":
    sys.exit(main())
