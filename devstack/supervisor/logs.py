"""Log files of children stay small: a file over the limit is moved to `.1` and starts empty."""

from __future__ import annotations

import shutil
from pathlib import Path

LOG_BYTES_MAX = 20 * 1024 * 1024


def bound(path: Path, bytes_max: int = LOG_BYTES_MAX) -> bool:
    """Copy and empty the file if it is over the limit; true if so.

    The child keeps it open for appending, so the next line comes first in the emptied file. Lines
    written between copy and cut are lost.
    """
    if not path.exists() or path.stat().st_size <= bytes_max:
        return False
    shutil.copyfile(path, path.with_suffix(path.suffix + ".1"))
    with path.open("r+b") as log:
        log.truncate(0)
    return True
