"""The process table as data: what is started, in which order, and in which it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from devstack.services.child import Launch


class Stage(IntEnum):
    """The order of stopping: who takes work in first, the stores last."""

    INTAKE = 0
    WORKERS = 1
    CONSOLE = 2
    SIMULATORS = 3
    STORES = 4


@dataclass(frozen=True)
class Process:
    """A child to run. It starts when everything in `needs` is ready."""

    launch: Launch
    stage: Stage
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique in the table."""
        return self.launch.name


@dataclass(frozen=True)
class InitTask:
    """Work of our own between starts (topics, migrations): done once, in a thread."""

    name: str
    work: Callable[[], object]
    needs: tuple[str, ...] = ()


Entry = Process | InitTask


class TableError(ValueError):
    """The process table has a name twice, a need that is not in it, or a circle of needs."""


def check(table: Sequence[Entry]) -> None:
    """Raises `TableError` if the table could not be started."""
    names = [entry.name for entry in table]
    if len(set(names)) < len(names):
        raise TableError(f"A name is in the process table twice: {sorted(names)}.")
    done: set[str] = set()
    while startable := [e for e in table if e.name not in done and done.issuperset(e.needs)]:
        done.update(entry.name for entry in startable)
    if len(done) < len(names):
        left = sorted(set(names) - done)
        raise TableError(f"{left} need each other or something that is not in the process table.")
