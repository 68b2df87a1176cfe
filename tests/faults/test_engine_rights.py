"""What the broker rejects permanently: the worker exits with a clear message, and nothing is lost.

The worker comes by SASL with a name and a password to a broker with an authorizer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic, ResourceType
from guarded_broker import GuardedBroker
from stream.engine_harness import FAST_SESSION, WAIT_SECONDS, Scenario, Worker, check_exactly_once

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(300)]
SENTENCE = "the rights of this worker"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    made = GuardedBroker(tmp_path_factory.mktemp("guarded"))
    yield made
    made.stop()


@pytest.fixture
def secured(guarded: GuardedBroker, tmp_path: Path) -> Iterator[Scenario]:
    made = Scenario(guarded.bootstrap, tmp_path)
    yield made
    made.stop()


def start(guarded: GuardedBroker, secured: Scenario) -> Worker:
    settings = FAST_SESSION | {"extra": guarded.worker_settings, "topic_wait_seconds": 2.0}
    return secured.start(settings=settings, BOOTSTRAP=guarded.guarded)


CASES = {
    "write an output": (ResourceType.TOPIC, "{}.out", AclOperation.WRITE),
    "write the changelog": (ResourceType.TOPIC, "{}-counts-changelog", AclOperation.WRITE),
    "read the changelog": (ResourceType.TOPIC, "{}-counts-changelog", AclOperation.READ),
    "read the input": (ResourceType.TOPIC, "{}.in", AclOperation.READ),
    "see the input": (ResourceType.TOPIC, "{}.in", AclOperation.ALL),
    "be in the group": (ResourceType.GROUP, "{}", AclOperation.READ),
    "use the transactional id": (ResourceType.TRANSACTIONAL_ID, "{}-0", AclOperation.WRITE),
}


@pytest.mark.parametrize("case", CASES)
def test_a_denied_right_before_the_start(
    guarded: GuardedBroker, secured: Scenario, case: str
) -> None:
    """The worker ran before; then a right is taken away, it ends, and goes on when it is back."""
    kind, name, operation = CASES[case]
    secured.load(300)
    start(guarded, secured)
    secured.wait_done()
    assert secured.workers[-1].terminate() == 0
    secured.load(300)
    before = secured.committed()
    with guarded.denied(kind, name.format(secured.name), operation):
        refused = start(guarded, secured)
        assert refused.process.wait(WAIT_SECONDS) == 1
    assert SENTENCE in secured.logs(), secured.logs()
    assert secured.committed() == before
    start(guarded, secured)
    secured.wait_done()
    check_exactly_once(secured)


@pytest.mark.parametrize("case", ["write an output", "read the input", "be in the group"])
def test_a_right_that_is_taken_away_from_a_running_worker(
    guarded: GuardedBroker, secured: Scenario, case: str
) -> None:
    kind, name, operation = CASES[case]
    secured.load(300)
    worker = start(guarded, secured)
    secured.wait_done()
    with guarded.denied(kind, name.format(secured.name), operation):
        secured.load(300)
        assert worker.process.wait(WAIT_SECONDS) == 1
    assert SENTENCE in secured.logs(), secured.logs()
    start(guarded, secured)
    secured.wait_done()
    check_exactly_once(secured)


def test_a_wrong_password_is_named(guarded: GuardedBroker, secured: Scenario) -> None:
    wrong = guarded.worker_settings | {"sasl.password": "forgotten"}
    settings = {"extra": wrong, "topic_wait_seconds": 1.0}
    worker = secured.start(settings=settings, BOOTSTRAP=guarded.guarded)
    assert worker.process.wait(WAIT_SECONDS) == 1
    assert "uthentication failed" in secured.logs()


def test_a_record_that_its_topic_does_not_take(single: Scenario) -> None:
    """Smaller than the engine's own bound, larger than the topic's: an operator has to act."""
    admin = AdminClient({"bootstrap.servers": single.bootstrap})
    changelog = f"{single.name}-counts-changelog"
    small = NewTopic(changelog, single.partitions, 1, config={"max.message.bytes": "20000"})
    admin.create_topics([small])[changelog].result(20)
    single.load(100)
    worker = single.start()
    single.wait_done()
    before = single.committed()
    single.produce([("k1", {"value_bytes": 900_000})])
    assert worker.process.wait(WAIT_SECONDS) == 1
    assert "max.message.bytes" in single.logs()
    time.sleep(0.5)
    assert single.committed() == before
