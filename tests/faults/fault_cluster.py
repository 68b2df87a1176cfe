"""Brokers that can be hit, load in the background, and the figures of each fault."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream.engine_harness import Scenario

from devstack.services import kafka, kafka_jars
from devstack.services.child import Child

LOADS_PER_SECOND = 10


class Cluster:
    """Three brokers that can be killed, stopped, paused and brought back; numbers from 0."""

    def __init__(self, directory: Path) -> None:
        kafka_jars.fetch()
        made, self.brokers = kafka.start_in(directory, brokers=3)
        self._launches = made.launches
        self.bootstrap = made.bootstrap_servers

    def kill(self, *numbers: int) -> None:
        for number in numbers:
            self.brokers[number].kill_group()

    def terminate(self, number: int) -> None:
        """A clean shutdown: leaderships move before the broker goes."""
        self.brokers[number].stop(60)

    def pause(self, number: int, seconds: float) -> None:
        self.brokers[number].signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.brokers[number].signal(signal.SIGCONT)

    def restart(self, *numbers: int) -> None:
        for number in numbers:
            self.brokers[number] = Child(self._launches[number])
        for number in numbers:
            self.brokers[number].wait_ready()

    def stop(self) -> None:
        for broker in self.brokers:
            broker.kill_group()


class Load:
    """Commands in the background, `per_second`, for as long as the `with` lasts."""

    def __init__(self, scenario: Scenario, per_second: int) -> None:
        self._scenario = scenario
        self._count = max(1, per_second // LOADS_PER_SECOND)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(90)

    def _run(self) -> None:
        while not self._stop.wait(1 / LOADS_PER_SECOND):
            self._scenario.load(self._count)


class Figures:
    """What was measured per fault; written as JSON when the run ends."""

    def __init__(self, seed: int) -> None:
        self._found: dict[str, Any] = {"seed": seed, "faults": []}

    def add(self, fault: str, **figures: float) -> None:
        line = {"fault": fault} | {name: round(value, 2) for name, value in figures.items()}
        self._found["faults"].append(line)
        print("figures:", json.dumps(line), flush=True)

    @contextmanager
    def pauses(self, fault: str, scenario: Scenario, settle_seconds: float) -> Iterator[None]:
        """Longest time without a commit, per worker that lives through it, and of all together."""
        began = time.monotonic()
        yield
        time.sleep(settle_seconds)
        alive = [worker for worker in scenario.workers if worker.process.poll() is None]
        each = {
            f"worker_{number}_seconds": worker.longest_pause_seconds(began)
            for number, worker in enumerate(alive)
        }
        self.add(fault, pause_seconds_max=max(each.values(), default=0.0), **each)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._found, indent=2) + "\n")
