"""Seconds without events after kill -9: the worker restarted, or another one at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bench.broker import BenchBroker, Commands, producer_to
from bench.figures import Figure
from bench.latency import READY_SECONDS_MAX, EventWatcher
from bench.options import Options
from bench.testbed import OURS, Run
from engine import EngineSettings

RATE = 200
SETTLE_SECONDS = 3.0
PROBE_SECONDS = 0.2  # 40 commands, on all partitions
OUTAGE_SECONDS_MAX = 60.0


def measure(broker: BenchBroker, options: Options) -> list[Figure]:
    """From the kill to the events of all commands that were sent right after it."""
    restart = [outage_seconds(broker, restart_instance) for _ in range(options.runs)]
    other = [outage_seconds(broker, leave_to_other) for _ in range(options.runs)]
    session = EngineSettings().session_timeout_seconds
    return [
        Figure("takeover", "kill -9, same instance id started again at once", "s", restart),
        Figure("takeover", f"kill -9, another worker takes over (session {session} s)", "s", other),
    ]


def outage_seconds(broker: BenchBroker, then: Callable[[Callable[[str], Run]], list[Run]]) -> float:
    """One kill under a steady load. `then` gets a way to start instances, answers who ends last."""
    name = broker.new_name("takeover")
    broker.topics(f"{name}-commands", f"{name}-events")

    def start(instance_id: str) -> Run:
        environment = {
            "BOOTSTRAP": broker.bootstrap,
            "NAME": name,
            "INPUT": f"{name}-commands",
            "INSTANCE_ID": instance_id,
        }
        return Run(OURS, broker.directory / f"{name}-{instance_id}", environment)

    victims = [start("0")]
    victims[0].wait_for("ready", READY_SECONDS_MAX)
    load = SteadyLoad(broker.bootstrap, f"{name}-commands")
    watcher = EventWatcher(broker.bootstrap, f"{name}-events")
    others: list[Run] = []
    try:
        if then is leave_to_other:
            others.append(start("1"))
            others[0].wait_for("ready", READY_SECONDS_MAX)
        time.sleep(SETTLE_SECONDS)
        victims[0].kill()
        killed_at = time.perf_counter()
        others += then(start)
        return seconds_until_taken_over(watcher, load, killed_at)
    finally:
        load.stop()
        for run in (*victims, *others):
            run.kill()
        watcher.close()


def restart_instance(start: Callable[[str], Run]) -> list[Run]:
    """What a supervisor does."""
    return [start("0")]


def leave_to_other(start: Callable[[str], Run]) -> list[Run]:
    """The killed instance is not started again."""
    del start
    return []


class SteadyLoad:
    """Commands at RATE from a thread; `sent`: key -> time."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.sent: dict[str, float] = {}
        self._producer, self._topic = producer_to(bootstrap, 0), topic
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        commands = Commands(RATE)
        while not self._end.wait(1 / RATE):
            key, value = commands.next()
            self.sent[key] = time.perf_counter()
            self._producer.produce(self._topic, value, key)
            self._producer.poll(0)

    def stop(self) -> None:
        """And flush."""
        self._end.set()
        self._thread.join(10)
        self._producer.flush(10)


def seconds_until_taken_over(watcher: EventWatcher, load: SteadyLoad, killed_at: float) -> float:
    """Until every command that was sent right after the kill, on any partition, has its event."""
    time.sleep(PROBE_SECONDS)
    probes = [key for key, at in list(load.sent.items()) if 0 < at - killed_at < PROBE_SECONDS]
    while time.perf_counter() < killed_at + OUTAGE_SECONDS_MAX:
        if all(key in watcher.seen for key in probes):
            return max(watcher.seen[key] for key in probes) - killed_at
        time.sleep(0.02)
    raise RuntimeError(f"no takeover within {OUTAGE_SECONDS_MAX} s")
