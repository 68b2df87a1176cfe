"""One live worker per slot name on a machine."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from engine.errors import SlotTaken


class SlotLock:
    """A file lock that the kernel releases with the process, also after kill -9.

    Workers on other machines are found by Kafka: the later one takes the slot's membership and
    producer epoch, the earlier one is fenced and says so.
    """

    def __init__(self, directory: Path, app_id: str, slot: str) -> None:
        self._path = directory / f"{app_id}-{slot}.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises `SlotTaken` when another live process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = self._path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            handle.seek(0)
            holder = handle.read().strip()
            handle.close()
            raise SlotTaken(
                f"slot lock {self._path} is held by process {holder}: stop it, or give this worker "
                "another slot"
            ) from exc
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._file = handle

    def release(self) -> None:
        """Let go; the file stays."""
        if self._file is not None:
            self._file.close()
            self._file = None
