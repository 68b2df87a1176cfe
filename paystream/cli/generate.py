"""`paystream generate`: write the generated contracts and pages."""

import sys
from pathlib import Path

from paystream.cli.output import CliError, console, print_json


def generate(*, check: bool = False, json: bool = False) -> int:
    """Write what is derived from contracts and tables of the code; 1 if --check finds it stale.

    Example: paystream generate --check

    Args:
        check: Write nothing; only say what is stale.
        json: Print JSON.
    """
    try:
        from paystream.generate.files import stale_files, write
    except ModuleNotFoundError as error:
        raise CliError(
            "The generators are not installed. Run this command in a checkout of the repository."
        ) from error

    root = Path.cwd()
    stale = stale_files(root) if check else write(root)
    if json:
        print_json({"stale" if check else "written": [str(path) for path in stale]})
    else:
        for path in stale:
            console.print(f"{'stale' if check else 'written'}: {path}")
    if check and stale:
        sys.stderr.write("Generated files are stale. Run `make generate` and commit the result.\n")
        return 1
    return 0
