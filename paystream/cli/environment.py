"""Where a command finds the stack: variables, a given env file, or the stack of this folder."""

import os
from collections.abc import Mapping
from pathlib import Path

from paystream.cli.output import CliError
from runtime.environment import UnreadableSecret, with_files
from runtime.settings import VARIABLES

DEFAULT_STATE_DIR = Path(".paystream")
ENV_FILE_NAME = "paystream.env"


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=value lines. Raises CliError if the file is not there."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise CliError(
            f"{path} cannot be read ({error.strerror}). Check the path. In the local stack: is the"
            " stack up?"
        ) from error
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value.strip("'\"") for name, _, value in pairs}


def environment(env_file: Path | None = None) -> Mapping[str, str]:
    """The process's variables over those of the env file. Raises CliError.

    env_file: as given; else the one that `paystream up` left in `.paystream/`, if it is there.
    """
    if env_file is None:
        left = Path(os.environ.get("PAYSTREAM_STATE_DIR", DEFAULT_STATE_DIR)) / ENV_FILE_NAME
        written = read_env_file(left) if left.exists() else {}
    else:
        written = read_env_file(env_file)
    try:
        return with_files({**written, **os.environ}, (name.upper() for name in VARIABLES))
    except UnreadableSecret as error:
        raise CliError(str(error)) from error


def need(env: Mapping[str, str], *names: str) -> None:
    """Raises CliError that names the variables that are missing."""
    if missing := [name for name in names if not env.get(name)]:
        raise CliError(
            f"{', '.join(missing)} is not set and no stack runs in {DEFAULT_STATE_DIR}/. Set it,"
            " or give an --env-file; `paystream up` starts a local stack."
        )
