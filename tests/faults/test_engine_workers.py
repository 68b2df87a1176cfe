"""Workers that are killed, stopped, restarted, scaled; zombies; one instance id twice."""

from __future__ import annotations

import random
import signal
import time
from contextlib import nullcontext

import pytest
from confluent_kafka.admin import AdminClient
from fault_cluster import Figures, Load
from stream.engine_harness import (
    FAST_SESSION,
    WAIT_SECONDS,
    Scenario,
    Worker,
    check_exactly_once,
    stop_a_worker_and_wake_it_after_its_heir,
)

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(900)]
SLOW_COMMITS = "before_commit:0:sleep0.02"
INSTANCE_IDS = ("a", "b", "c", "d")


def test_many_kills_and_stops(single: Scenario, seed: int, figures: Figures) -> None:
    """Three workers under load; one is killed or stopped beyond its session, again and again."""
    rng = random.Random(seed)
    settings = FAST_SESSION | {"batch_records_max": 200}
    single.follow()
    workers = {
        instance_id: single.start(instance_id, settings, FAIL_POINT=SLOW_COMMITS)
        for instance_id in INSTANCE_IDS[:3]
    }
    for worker in workers.values():
        worker.wait_ready()
    with Load(single, per_second=400):
        for _ in range(12):
            instance_id, action = rng.choice(INSTANCE_IDS[:3]), rng.choice(["kill", "stop", "term"])
            print("schedule:", seed, instance_id, action, flush=True)
            worker = workers[instance_id]
            began = time.monotonic()
            if action == "stop":
                worker.signal(signal.SIGSTOP)
                time.sleep(rng.uniform(1, 10))
                worker.signal(signal.SIGCONT)
            else:
                worker.kill() if action == "kill" else worker.terminate()
                workers[instance_id] = single.start(instance_id, settings, FAIL_POINT=SLOW_COMMITS)
                workers[instance_id].wait_ready()
                figures.add(
                    f"worker {action}, same instance id", ready_seconds=time.monotonic() - began
                )
            time.sleep(rng.uniform(0.5, 4))
    single.wait_done(120)
    check_exactly_once(single)


def wait_owned(workers: dict[str, Worker], partitions: int = 4) -> None:
    share = partitions // len(workers)
    for worker in workers.values():
        worker.wait_for(lambda report: report["ready"] and report["owned"] == share)


def test_scale_under_load(single: Scenario, figures: Figures) -> None:
    """1, 4, 2, 1 workers; partitions move each time, with clean ends and with kills."""
    settings = FAST_SESSION | {"batch_records_max": 200}
    single.follow()
    workers = {"a": single.start("a", settings)}
    wait_owned(workers)
    with Load(single, per_second=400):
        with figures.pauses("scale from 1 to 4", single, 2.0):
            workers |= {
                instance_id: single.start(instance_id, settings) for instance_id in INSTANCE_IDS[1:]
            }
            wait_owned(workers)
        with figures.pauses("scale from 4 to 2, clean", single, 2.0):
            for instance_id in INSTANCE_IDS[2:]:
                assert workers.pop(instance_id).terminate() == 0
            wait_owned(workers)
        with figures.pauses("scale from 2 to 1, killed", single, 2.0):
            workers.pop("b").kill()
            wait_owned(workers)
    single.wait_done()
    check_exactly_once(single)


def test_rolling_restart_under_load(single: Scenario, figures: Figures) -> None:
    single.follow()
    workers = {instance_id: single.start(instance_id, FAST_SESSION) for instance_id in INSTANCE_IDS}
    wait_owned(workers)
    with Load(single, per_second=400):
        for instance_id in INSTANCE_IDS:
            began = time.monotonic()
            assert workers[instance_id].terminate() == 0
            workers[instance_id] = single.start(instance_id, FAST_SESSION)
            workers[instance_id].wait_for(lambda report: report["ready"] and report["owned"] == 1)
            figures.add(f"rolling restart of {instance_id}", ready_seconds=time.monotonic() - began)
    single.wait_done()
    check_exactly_once(single)


@pytest.mark.parametrize("step", ["between_produces", "before_send_offsets"])
def test_a_zombie_cannot_commit(single: Scenario, step: str) -> None:
    stop_a_worker_and_wake_it_after_its_heir(single, step)


def test_two_zombies(single: Scenario) -> None:
    """Both stop in an open transaction; one takes over; both wake and find themselves fenced."""
    single.load(3000)
    settings = FAST_SESSION | {"batch_records_max": 300}
    zombies = [
        single.start(instance_id, settings, FAIL_POINT="before_commit:2:stop")
        for instance_id in INSTANCE_IDS[:2]
    ]
    for zombie in zombies:
        zombie.wait_stopped(60)
    new_owner = single.start("new-owner", FAST_SESSION)
    new_owner.wait_for(lambda report: report["owned"] == 4)
    single.load(1000)
    single.wait_done()
    for zombie in zombies:
        zombie.signal(signal.SIGCONT)
    for zombie in zombies:
        zombie.wait_for(lambda report: report["aborts"] >= 1 and report["ready"])
    single.load(1000)
    single.wait_done()
    check_exactly_once(single)


def test_stopped_beyond_the_transaction_time_out(single: Scenario) -> None:
    """The broker itself aborts what the sleeper left open."""
    single.load(2000)
    settings = FAST_SESSION | {"batch_records_max": 300, "transaction_timeout_seconds": 10.0}
    sleeper = single.start("a", settings, FAIL_POINT="before_commit:3:stop")
    sleeper.wait_stopped()
    time.sleep(15)
    sleeper.signal(signal.SIGCONT)
    sleeper.wait_for(lambda report: report["aborts"] >= 1 and report["ready"])
    single.load(1000)
    single.wait_done()
    check_exactly_once(single)


def test_the_very_first_transaction_is_left_open(single: Scenario, figures: Figures) -> None:
    """No commit names its owner yet; its own records do, so that the new owner need not wait for
    its time-out (600 s here).
    """
    single.load(1000)
    settings = FAST_SESSION | {"batch_records_max": 200, "transaction_timeout_seconds": 600.0}
    doomed = single.start("a", settings, FAIL_POINT="before_commit:1:kill")
    assert doomed.process.wait(WAIT_SECONDS) == -signal.SIGKILL
    began = time.monotonic()
    new_owner = single.start("b", settings)
    new_owner.wait_for(lambda report: report["ready"] and report["owned"] == 4)
    figures.add("first transaction left open", new_owner_ready_seconds=time.monotonic() - began)
    assert "offsets of" in (single.directory / "worker-b.log").read_text(), "nothing was unstable"
    single.wait_done()
    check_exactly_once(single)


STOPS = {
    "session": ({"session_timeout_seconds": 6.0, "transaction_timeout_seconds": 60.0}, (7.0, 9.0)),
    "transaction": (
        {"session_timeout_seconds": 20.0, "transaction_timeout_seconds": 4.0},
        (6.0, 8.0),
    ),
    "both": ({"session_timeout_seconds": 6.0, "transaction_timeout_seconds": 4.0}, (8.0, 11.0)),
}
"""What a stop is longer than -> settings of the worker, range of its length in seconds."""
STEPS = ("between_produces", "before_send_offsets", "before_commit", "after_commit")


@pytest.mark.parametrize("beyond", STOPS)
def test_random_stops(single: Scenario, seed: int, figures: Figures, beyond: str) -> None:
    """Each worker in turn stops at a step of a transaction, at any moment, or in its restore."""
    rng = random.Random(f"{seed} {beyond}")
    limits, seconds = STOPS[beyond]
    settings = {"heartbeat_seconds": 1.0, "batch_records_max": 200} | limits
    single.follow()
    with Load(single, per_second=400):
        single.start("steady", settings).wait_ready()
        for where in rng.sample(["at a step", "any moment", "restore", "at a step"], 4):
            step, length = rng.choice(STEPS), rng.uniform(*seconds)
            print("schedule:", seed, beyond, where, step, f"{length:.1f} s", flush=True)
            sleeper = _stopped(single, settings, where, step, rng)
            time.sleep(length)
            sleeper.signal(signal.SIGCONT)
            began = time.monotonic()
            commits_again = sleeper.wait_for_commit(since=began)
            figures.add(f"stopped beyond {beyond}, {where}", commit_seconds=commits_again - began)
            time.sleep(rng.uniform(0.5, 2))
            sleeper.kill()
    single.wait_done(120)
    check_exactly_once(single)


def _stopped(
    single: Scenario, settings: dict[str, float], where: str, step: str, rng: random.Random
) -> Worker:
    """A worker of its own instance id, stopped there."""
    instance_id = f"sleeper-{len(single.workers)}"
    if where == "at a step":
        sleeper = single.start(
            instance_id, settings, FAIL_POINT=f"{step}:{rng.randrange(2, 9)}:stop"
        )
        sleeper.wait_stopped()
        return sleeper
    extra = {"SLOW_RESTORE": "0.3"} if where == "restore" else {"FAIL_POINT": SLOW_COMMITS}
    sleeper = single.start(instance_id, settings, **extra)
    log = single.directory / f"worker-{instance_id}.log"
    if where == "restore":
        sleeper.wait_for_line(log, "Worker ready")
    else:
        sleeper.wait_ready()
    time.sleep(rng.uniform(0.0, 0.8))
    sleeper.signal(signal.SIGSTOP)
    return sleeper


def test_stopped_while_it_restores(single: Scenario) -> None:
    """Another takes over meanwhile; who wakes in the middle of an old restore must not go on."""
    single.load(6000, keys=3000)
    first = single.start("a", FAST_SESSION)
    single.wait_done()
    first.kill()
    sleeper = single.start("a", FAST_SESSION, SLOW_RESTORE="0.5")
    time.sleep(5)
    sleeper.signal(signal.SIGSTOP)
    assert not sleeper.latest.get("ready"), "the restore was over before it was stopped"
    new_owner = single.start("b", FAST_SESSION)
    new_owner.wait_for(lambda report: report["owned"] == 4)
    single.load(1000)
    single.wait_done()
    sleeper.signal(signal.SIGCONT)
    single.load(1000)
    single.wait_done(120)
    check_exactly_once(single)


@pytest.mark.parametrize("per_second", [0, 200], ids=["idle", "under load"])
def test_two_machines_with_one_instance_id(
    single: Scenario, per_second: int, figures: Figures
) -> None:
    """The later reports the takeover, the earlier the lost instance id; nothing twice."""
    single.load(500)
    first = single.start("0", FAST_SESSION, HOST="one")
    first.wait_ready()
    with Load(single, per_second) if per_second else nullcontext():
        second = single.start("0", FAST_SESSION, HOST="two")
        second.wait_ready()
        began = time.monotonic()
        assert first.process.wait(WAIT_SECONDS) == 1
        figures.add(
            f"one instance id twice, {per_second} records/s",
            former_ended_seconds=time.monotonic() - began,
        )
        time.sleep(8)
    assert second.process.poll() is None, "the one that started later stays"
    log = (single.directory / "worker-0.log").read_text()
    assert "already has a member with instance id" in log
    assert "used by another live worker" in log
    single.load(100)
    single.wait_done()
    check_exactly_once(single)


def test_an_output_topic_that_is_not_there_is_named(single: Scenario) -> None:
    """The client itself waits for it for 30 s; then the worker ends, with nothing committed."""
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    admin.delete_topics([f"{single.name}.out"])[f"{single.name}.out"].result(20)
    single.load(10)
    worker = single.start()
    assert worker.process.wait(WAIT_SECONDS) == 1
    assert "NonRetriableBrokerError" in single.logs()
    assert sum(single.committed().values()) == 0
