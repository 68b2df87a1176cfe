"""`paystream generate`: write the generated contracts and pages."""

import sys
from pathlib import Path

from paystream.cli.output import console, print_json


def generate(*, check: bool = False, json: bool = False) -> int:
    """Write what is derived from contracts and tables of the code; 1 if --check finds it stale.

    Example: paystream generate --check

    Args:
        check: Write nothing; only say what is stale.
        json: Print JSON.
    """
    from paystream.generate.files import stale_files, write

    root = Path.cwd()
    stale = stale_files(root) if check else write(root)
    if json:
        print_json({"stale" if check else "written": [str(path) for path in stale]})
    else:
        for path in stale:
            console.print(f"{'stale' if check else 'written'}: {path}")
    if check and stale:
        sys.stderr.write("run `make generate` and commit the result.\n")
        return 1
    return 0
