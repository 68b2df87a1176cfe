"""Baselines that need more than this house installs; a line says why one is left out."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from bench.kafka_streams import program
from bench.options import Options
from bench.testbed import Baseline
from devstack.services.kafka_jars import JarsMissingError, cache_dir

LOCK = Path(__file__).with_name("quix.lock")
INSTALL_SECONDS_MAX = 600.0
QUIX_RECORDS_MAX = 40_000


def optional_baselines(options: Options) -> list[Baseline]:
    """Those that can run here."""
    return [*_kafka_streams(), *_quix(options)]


def _kafka_streams() -> list[Baseline]:
    try:
        return [Baseline("kafka-streams-eos-v2", program.command())]
    except (JarsMissingError, subprocess.SubprocessError) as exc:
        print(f"left out: Kafka Streams ({exc})")
        return []


def _quix(options: Options) -> list[Baseline]:
    if not options.with_quix:
        print("left out: Quix Streams (--with-quix installs it into an environment of its own)")
        return []
    command = (str(quix_python()), "-m", "bench.workers.quix")
    return [Baseline("quix-exactly-once", command, records_max=QUIX_RECORDS_MAX)]


def quix_python() -> Path:
    """Python of an environment with bench/quix.lock, made at first use.

    Quix pins an older confluent-kafka than ours. Raises CalledProcessError.
    """
    directory = cache_dir() / "bench-quix"
    python, done = directory / "bin" / "python", directory / "installed.lock"
    if not done.exists() or done.read_text() != LOCK.read_text():
        print(f"installing Quix Streams into {directory}", flush=True)
        venv.create(directory, clear=True, with_pip=True, symlinks=sys.platform != "win32")
        install = ("-m", "pip", "install", "--quiet", "--require-hashes", "--requirement")
        subprocess.run([python, *install, LOCK], check=True, timeout=INSTALL_SECONDS_MAX)
        done.write_text(LOCK.read_text())
    return python
