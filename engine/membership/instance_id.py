"""One live worker per instance id."""

from __future__ import annotations

import fcntl
import logging
import os
from collections import deque
from pathlib import Path
from typing import IO, Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AclOperation, AdminClient

from engine.broker.broker_errors import raise_if_unauthorized
from engine.broker.clients import ClientConfig
from engine.errors import InstanceIdInUse, NonRetriableBrokerError

ANSWER_SECONDS = 5.0
REQUEST_SECONDS = 3600.0
"""Longer than a coordinator is away: librdkafka 2.16 aborts the process (`eonce->refcnt > 0`) soon
after such a request timed out during the search for the group's coordinator.
"""
UNANSWERED_MAX = 16
EXIT_CODE = 1
log = logging.getLogger(__name__)
_unanswered: deque[AdminClient] = deque(maxlen=UNANSWERED_MAX)
"""Clients that are kept alive until their request is answered."""


def warn_if_member_exists(config: ClientConfig) -> None:
    """Log when the group has a member with this instance id: killed within the session, or alive.

    Blocking, up to 5 s. Kafka cannot distinguish the two, so the worker starts anyway. Raises
    `NonRetriableBrokerError` when this worker may not join the group: joining would wait silently.
    """
    for member in _members(config):
        log.warning(
            "The group already has a member with instance id %s: %s on %s. If it was killed a "
            "moment ago, nothing is to be done. If it is alive, it will be fenced and exit: give "
            "it another instance id.",
            config.instance_id,
            member.member_id,
            member.host,
        )


def exit_if_instance_id_in_use(config: ClientConfig, former_member_id: str) -> None:
    """For a member that the broker no longer knows: exit when another worker has its instance id.

    Another worker joined later with the same instance id. Rejoining would fence it, and it would
    fence us in return, forever. So this worker exits. Nothing is lost, because it can no longer
    commit. Blocking, up to 5 s.
    """
    for member in _members(config):
        if member.member_id != former_member_id:
            log.critical(
                "InstanceIdInUse: instance id %r of %s is used by another live worker, %s on %s, "
                "that started later. This worker exits. Give each worker its own instance id.",
                config.instance_id,
                config.app_id,
                member.member_id,
                member.host,
            )
            os._exit(EXIT_CODE)


def _members(config: ClientConfig) -> list[Any]:
    """Members of the group with this instance id; [] when the broker does not answer."""
    admin = AdminClient(config.base())
    try:
        asked = admin.describe_consumer_groups(
            [config.app_id], request_timeout=REQUEST_SECONDS, include_authorized_operations=True
        )
        group = asked[config.app_id].result(ANSWER_SECONDS)
    except TimeoutError:
        _unanswered.append(admin)
        log.info(
            "instance id %s: no answer about the group within %.0f s",
            config.instance_id,
            ANSWER_SECONDS,
        )
        return []
    except KafkaException as exc:
        raise_if_unauthorized(exc.args[0], f"group {config.app_id}")
        log.info("instance id %s: the group is not known yet: %s", config.instance_id, exc)
        return []
    allowed = group.authorized_operations
    if allowed and AclOperation.READ not in allowed:
        raise NonRetriableBrokerError(
            f"This worker may not read the consumer group {config.app_id}; nothing was committed. "
            "Check the rights of this worker."
        )
    own = config.transactional_id
    return [member for member in group.members if member.group_instance_id == own]


class InstanceLock:
    """A file lock that the kernel releases with the process, also after kill -9.

    Workers on other machines are found through Kafka: the later one takes over the membership and
    the producer epoch and logs it (`warn_if_member_exists`). The earlier one is fenced and exits
    (`exit_if_instance_id_in_use`).
    """

    def __init__(self, directory: Path, app_id: str, instance_id: str) -> None:
        self._path = directory / f"{app_id}-{instance_id}.lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises `InstanceIdInUse` when another live process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = self._path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            handle.seek(0)
            holder = handle.read().strip()
            handle.close()
            raise InstanceIdInUse(
                f"Instance lock {self._path} is held by process {holder}. Stop that process, or "
                "give this worker another instance id."
            ) from exc
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._file = handle

    def release(self) -> None:
        """Let go; the file stays."""
        if self._file is not None:
            self._file.close()
            self._file = None
