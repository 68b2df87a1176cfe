"""The local stack as one thing: up, ready, watched, down."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from devstack.services.child import ChildFailedError
from devstack.services.kafka_jars import JarsMissingError
from devstack.services.ports import NoFreePortError, PortBook
from devstack.supervisor import addresses, process_table
from devstack.supervisor.local_settings import local_settings
from devstack.supervisor.options import UpOptions
from devstack.supervisor.process_spec import Entry
from devstack.supervisor.security import StackSecurity
from devstack.supervisor.state_dir import StateDir, StateDirInUseError, write_env_file
from devstack.supervisor.supervisor import GaveUpError, StartFailedError, Supervisor
from paystream.operations.access import OPERATORS

CANNOT_START = (
    StateDirInUseError,
    StartFailedError,
    JarsMissingError,
    NoFreePortError,
    ChildFailedError,
    ValueError,
)


class Stack:
    """One run on one state directory, from one thread: `up`, `watch`, and always `down`."""

    def __init__(self, options: UpOptions) -> None:
        self._options = options
        self._state = StateDir(options.state_dir)
        self._supervisor: Supervisor | None = None
        self.variables: dict[str, str] = {}

    def up(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Start all; true when ready, with the env file written; false if `stopped()` came first.

        Raises one of `CANNOT_START`.
        """
        self._withdraw()
        table = self._table()
        self._supervisor = Supervisor(
            table, self._options.announce, changed=self._state.write_processes
        )
        if not self._supervisor.start(stopped):
            return False
        for path in (self._state.env_file, self._options.env_file):
            if path is not None:
                write_env_file(path, self.variables)
        return True

    def watch(self, stopped: Callable[[], bool]) -> None:
        """Restart what dies until `stopped()`; raises `GaveUpError`."""
        if self._supervisor is not None:
            self._supervisor.watch(stopped)

    def down(self) -> None:
        """Stop everything within 15 s and let the directory go."""
        self._state.env_file.unlink(missing_ok=True)
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        self._state.release()

    def _table(self) -> list[Entry]:
        options, state = self._options, self._state
        if options.workers < 1:
            raise ValueError(
                f"{options.workers} payments workers are too few. Give --workers 1 or more."
            )
        book = PortBook(state.path / "ports.json")
        given = addresses.allocate(
            state,
            book,
            options.workers,
            fallback_network=options.fallback_network,
            secure=options.secure,
        )
        if options.secure and given.outside:
            raise ValueError(
                f"{', '.join(given.outside)} is set: --secure is for the stack's own stores."
                " Unset it, or leave --secure out."
            )
        security = StackSecurity(state) if options.secure else None
        stores, where = process_table.stores(state, book, given, options.brokers, security)
        local = local_settings(options.brokers, {**os.environ, **options.environment})
        shared = {**given.variables(where), **local}
        self.variables = {**shared, **(security.of(OPERATORS) if security else {})}
        return [
            *stores,
            *process_table.preparations(stores, where, options.brokers, security),
            *process_table.own_processes(state, given, shared, options, security),
        ]

    def _withdraw(self) -> None:
        """An env file says that the stack is ready: one of an earlier run does not hold."""
        for path in (self._state.env_file, self._options.env_file):
            if path is not None:
                path.unlink(missing_ok=True)


class ShutdownSignal:
    """True after SIGTERM or Ctrl-C; a second Ctrl-C changes nothing, stopping is bounded."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True


def run_up(options: UpOptions) -> int:
    """`paystream up`: blocks until SIGTERM or Ctrl-C. Call it from the main thread.

    Answers 0 after a stop that was asked for, 1 with a sentence on standard error otherwise.
    """
    stop_asked = ShutdownSignal()
    try:
        stack = Stack(options)
    except StateDirInUseError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        if stack.up(stop_asked):
            options.announce(
                f"the stack is ready: {stack.variables['API_URL']} (API),"
                f" {stack.variables['CONSOLE_URL']} (console)"
            )
            stack.watch(stop_asked)
        options.announce("stopping")
    except (*CANNOT_START, GaveUpError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        stack.down()
    return 0
