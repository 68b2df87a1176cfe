"""Notices that a topic was given more partitions: keys are elsewhere from then on."""

import threading
from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runtime import log
from runtime.kafka import client_settings
from runtime.kafka_connection import KafkaConnection

CHECK_SECONDS = 5.0
_ANSWER_SECONDS_MAX = 5.0


class PartitionWatch:
    """A thread that compares the topics each CHECK_SECONDS, with each other and with before.

    All of them must have the same number of partitions. It has a client of its own: a producer that
    learns of new partitions uses them at once, and one that does not ask does so minutes later.
    """

    def __init__(
        self, kafka: KafkaConnection, topics: Iterable[str], check_seconds: float = CHECK_SECONDS
    ) -> None:
        self._kafka = kafka
        self._topics = tuple(topics)
        self._check_seconds = check_seconds
        self._problem: str | None = None
        self._seen: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="partition-watch", daemon=True)

    def start(self) -> None:
        """Begin to compare."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()

    @property
    def problem(self) -> str | None:
        """What is wrong and what to do; None while nothing is."""
        return self._problem

    def compare(self, counts: dict[str, int]) -> str | None:
        """The sentence about topic -> partitions of now, given those of before; topics may lack."""
        found = {name: counts[name] for name in self._topics if counts.get(name)}
        for name, count in found.items():
            before = self._seen.setdefault(name, count)
            if count != before:
                return _sentence(name, count, before)
        wanted = min(found.values(), default=0)
        for name, count in found.items():
            if count != wanted:
                return _sentence(name, count, wanted)
        return None

    def _run(self) -> None:
        admin = AdminClient({**client_settings(self._kafka), "log_level": 0})
        logger = log.get("runtime.partition_watch")
        while not self._stopping.is_set():
            try:
                topics = admin.list_topics(timeout=_ANSWER_SECONDS_MAX).topics
            except KafkaException:
                pass  # those who need the broker report an outage
            else:
                counts = {name: len(topic.partitions) for name, topic in topics.items()}
                problem = self.compare(counts)
                if problem is not None and self._problem is None:
                    logger.critical("partitions_changed", problem=problem)
                self._problem = problem
            self._stopping.wait(self._check_seconds)


def _sentence(name: str, count: int, wanted: int) -> str:
    return (
        f"Topic {name} has {count} partitions, {wanted} are wanted. Nothing is accepted for it: see"
        " the page about partitions."
    )
