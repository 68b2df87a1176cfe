"""The topic files list exactly the topics that each worker's app reads.

Consumer lag is shown for the listed topics only: a worker that is missing there has no lag.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.topics import MERCHANTS, TOPICS
from workers.catalogue import WORKERS, Worker

NOWHERE = "127.0.0.1:9"
PROGRAM = """
import importlib, json, os, sys
module, function = sys.argv[1].split(":")
app = getattr(importlib.import_module(module), function)("0", os.environ)
print(json.dumps([*app.context.topics, *(each.topic for each in app.parallel_consumers)]))
"""
"""Builds the app in a process of its own: Faust keeps the current app in a global."""


def topics_read(worker: Worker, directory: Path) -> set[str]:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "REDIS_URL": f"redis://{NOWHERE}",
        **{f"{name}_URL": f"http://{NOWHERE}" for name in ("NETWORK", "BANK", "CLICKHOUSE")},
        "PAYSTREAM_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
        "PAYSTREAM_STATE_DIR": str(directory),
    }
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, worker.builder],
        env={**os.environ, **settings},
        cwd=directory,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    return set(json.loads(output))


@pytest.mark.parametrize("name", WORKERS)
def test_the_topic_files_list_what_the_app_reads(name: str, tmp_path: Path) -> None:
    worker = WORKERS[name]
    listed = {topic.name for topic in TOPICS.values() if worker.group in topic.readers}
    # `merchants` is read by a registry of its own in each process, outside the consumer group.
    assert listed - {MERCHANTS} == topics_read(worker, tmp_path)
