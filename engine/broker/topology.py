"""Checks topics and their partitions, creates changelogs; runs before the group is joined."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from engine.broker.clients import ClientConfig
from engine.errors import MissingTopics

log = logging.getLogger(__name__)
REQUEST_SECONDS = 5.0
CHANGELOG_SETTINGS = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.3",  # a new owner reads a changelog in full: keep it short
    "segment.ms": str(6 * 3600 * 1000),  # the active segment is never compacted
}


class Topology:
    """Blocking; call it in a thread."""

    def __init__(self, config: ClientConfig, replication: int) -> None:
        self._config = config
        self._replication = replication
        self._admin: Any = None

    def ensure(self, wanted: Mapping[str, int | None], changelogs: Mapping[str, int]) -> None:
        """Wait for `wanted` (name -> partitions, None: any), create missing changelogs.

        Raises `MissingTopics` after `topic_wait_seconds`, with what is wrong and what to do.
        """
        deadline = time.monotonic() + self._config.settings.topic_wait_seconds
        while problems := self._problems(wanted, changelogs):
            if grown := self.changed(wanted):  # Kafka takes no partition away: waiting is no use
                raise MissingTopics(" ".join(grown))
            if time.monotonic() > deadline:
                raise MissingTopics(" ".join(problems))
            time.sleep(0.3)

    def changed(self, wanted: Mapping[str, int | None]) -> list[str]:
        """Topics that have more partitions than wanted; [] also if no broker answers."""
        try:
            if self._admin is None:
                self._admin = AdminClient(self._config.base())
            found = self._admin.list_topics(timeout=REQUEST_SECONDS).topics
        except KafkaException as exc:
            log.warning("partitions are not checked: %s", exc)
            return []
        counts = {name: len(topic.partitions) for name, topic in found.items()}
        return [
            f"Topic {name} has {counts[name]} partitions, {count} are wanted: somebody added some. "
            "Keys are in other partitions since then, away from their state. Stop all writers of "
            "the topic, and move it to a new one with the wanted number of partitions."
            for name, count in wanted.items()
            if count is not None and counts.get(name, 0) > count
        ]

    def _problems(
        self, wanted: Mapping[str, int | None], changelogs: Mapping[str, int]
    ) -> list[str]:
        try:
            admin = AdminClient(self._config.base())
            found = admin.list_topics(timeout=REQUEST_SECONDS).topics
            counts = {name: len(topic.partitions) for name, topic in found.items()}
        except KafkaException as exc:
            return [f"No answer from {self._config.bootstrap_servers}: {exc}."]
        problems = list(_mismatches(wanted, counts))
        missing = {name: count for name, count in changelogs.items() if name not in counts}
        if not problems and missing:
            return [self._create(admin, name, count) for name, count in missing.items()]
        return problems + list(
            _mismatches({n: c for n, c in changelogs.items() if n in counts}, counts)
        )

    def _create(self, admin: AdminClient, name: str, count: int) -> str:
        """Why the topic is still a problem until the next check."""
        topic = NewTopic(name, count, self._replication, config=CHANGELOG_SETTINGS)
        answer = admin.create_topics([topic], request_timeout=REQUEST_SECONDS)[name]
        try:
            answer.result(REQUEST_SECONDS * 2)
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return (
                    f"Changelog {name} exists, but is not visible. Check the rights of this worker."
                )
            log.warning("changelog topic %s: %s", name, exc)
            return f"Changelog {name} cannot be created: {exc.args[0].str()}."
        log.info("created changelog topic %s", name)
        return f"Changelog {name} was just created."


def _mismatches(wanted: Mapping[str, int | None], found: Mapping[str, int]) -> Iterable[str]:
    for name, count in wanted.items():
        if name not in found:
            yield (
                f"Topic {name} does not exist, or this worker may not see it. Create the topic, or "
                "check the rights of this worker."
            )
        elif count is not None and found[name] != count:
            yield (
                f"Topic {name} has {found[name]} partitions, {count} are wanted. Tables need as "
                "many partitions as their source topics: change topic_partitions, or create the "
                "topic again."
            )
