"""The jars of Apache Kafka: fetched once from Maven Central by jgo, checked by sha256 at each use.

`kafka_jars.lock` (JSON: group, artifact, version, sha256) is the whole truth of what is run; it
names no host, jgo knows the repository.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

LOCK_PATH = Path(__file__).with_name("kafka_jars.lock")
KAFKA_VERSION = "4.3.1"
# Kafka itself names no slf4j binding; without one it logs nothing.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
DOWNLOADS_AT_ONCE = 6
TRIES_PER_JAR_MAX = 3

Progress = Callable[[int, int, str], None]  # (jars done, jars in all, name of the last one)


class JarsMissingError(RuntimeError):
    """A jar is not in the cache, is not what the lock says, or could not be fetched."""


class Jar(msgspec.Struct, frozen=True):
    """One line of the lock; `sha256` in hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def cache_dir() -> Path:
    """Where downloads are kept: `PAYSTREAM_CACHE_DIR`, else `~/.cache/paystream`."""
    given = os.environ.get("PAYSTREAM_CACHE_DIR")
    return Path(given) if given else Path.home() / ".cache" / "paystream"


def jars_dir() -> Path:
    """The directory that holds exactly the jars of this Kafka version."""
    return cache_dir() / f"kafka-{KAFKA_VERSION}"


def locked_jars() -> tuple[Jar, ...]:
    """What the committed lock asks for."""
    return tuple(msgspec.json.decode(LOCK_PATH.read_bytes(), type=list[Jar]))


def missing() -> tuple[Jar, ...]:
    """Jars that are not in the cache with the locked content."""
    return tuple(jar for jar in locked_jars() if not _is_good(jar, jars_dir() / jar.file_name))


def classpath() -> str:
    """The class path of the checked jars; `JarsMissingError` says what to do without one."""
    absent = missing()
    if absent:
        raise JarsMissingError(
            f"{len(absent)} of {len(locked_jars())} jars of Kafka {KAFKA_VERSION} are not in"
            f" {jars_dir()} (first: {absent[0].file_name}). Run `paystream install-kafka`."
        )
    return os.pathsep.join(str(jars_dir() / jar.file_name) for jar in locked_jars())


def fetch(progress: Progress | None = None) -> int:
    """Fetch the missing jars into the cache; returns how many were fetched.

    Safe to run twice at once: each jar is checked in a directory of its own, then moved into
    place. Raises `JarsMissingError` with one sentence when a download fails.
    """
    wanted = missing()
    if not wanted:
        return 0
    jars_dir().mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache_dir(), prefix="fetch-") as scratch,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
    ):
        fetched = pool.map(lambda jar: _fetch_one(jar, Path(scratch), jars_dir()), wanted)
        for done, jar in enumerate(fetched, start=1):
            if progress:
                progress(done, len(wanted), jar.file_name)
    return len(wanted)


def write_lock() -> int:
    """Resolve `COORDINATES` from scratch and write the lock; returns the number of jars."""
    import jgo

    with tempfile.TemporaryDirectory() as scratch:
        environment = jgo.build("+".join(COORDINATES), cache_dir=Path(scratch))
        jars = sorted(
            (
                Jar(found.groupId, found.artifactId, found.version, found.sha256)
                for found in environment.lockfile.dependencies
            ),
            key=lambda jar: (jar.group, jar.artifact),
        )
    LOCK_PATH.write_text(json.dumps([msgspec.to_builtins(jar) for jar in jars], indent=1) + "\n")
    return len(jars)


def _is_good(jar: Jar, path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == jar.sha256


def ensure(jar: Jar, directory: Path) -> Path:
    """Where the jar is in the directory, fetched if need be. Raises `JarsMissingError`."""
    path = directory / jar.file_name
    if not _is_good(jar, path):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix="fetch-") as scratch:
            _fetch_one(jar, Path(scratch), directory)
    return path


def _fetch_one(jar: Jar, scratch: Path, directory: Path) -> Jar:
    reason = ""
    for attempt in range(TRIES_PER_JAR_MAX):
        try:
            path = _download(jar, scratch / f"{jar.file_name}-{attempt}")
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            continue
        if _is_good(jar, path):
            shutil.move(path, directory / jar.file_name)
            return jar
        reason = f"its sha256 is not {jar.sha256}"
    raise JarsMissingError(
        f"{jar.file_name} could not be fetched from Maven Central ({reason}). Check that this"
        " machine can reach it, then run `paystream install-kafka` again."
    )


def _download(jar: Jar, repository: Path) -> Path:
    from jgo.maven import MavenContext

    component = MavenContext(repo_cache=repository).project(jar.group, jar.artifact)
    return Path(component.at_version(jar.version).artifact().resolve())
