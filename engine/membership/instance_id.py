"""One live worker per slot name."""

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
after such a question timed out while the group's coordinator was looked for.
"""
UNANSWERED_MAX = 16
EXIT_CODE = 1
log = logging.getLogger(__name__)
_unanswered: deque[AdminClient] = deque(maxlen=UNANSWERED_MAX)
"""Clients that live on until their question is answered."""


def warn_if_member_exists(config: ClientConfig) -> None:
    """Log when the group has a member under this slot: killed within the session, or alive.

    Blocking, up to 5 s. Kafka cannot tell the two apart, so it is no refusal. Raises
    `NonRetriableBrokerError` when this worker may not be in the group: joining would wait without
    a word.
    """
    for member in _members(config):
        log.warning(
            "slot %s has a member in the group already, %s on %s: it was killed a moment ago "
            "or may be alive; then it is fenced and ends, and must get another slot",
            config.slot,
            member.member_id,
            member.host,
        )


def exit_if_instance_id_in_use(config: ClientConfig, former_member_id: str) -> None:
    """For a member that the broker no longer knows: end the process when another has its slot.

    Only a worker that joined later can have it. To join again would throw that one out, which would
    do the same in turn: neither would ever get on. So this one ends at once; nothing is lost, since
    it can no longer commit. Blocking, up to 5 s.
    """
    for member in _members(config):
        if member.member_id != former_member_id:
            log.critical(
                "InstanceIdInUse: instance id %r of %s is used by another live worker, %s on %s, "
                "that started later. This worker exits. Give each worker its own instance id.",
                config.slot,
                config.app_id,
                member.member_id,
                member.host,
            )
            os._exit(EXIT_CODE)


def _members(config: ClientConfig) -> list[Any]:
    """Members of the group under this slot; [] when nobody can say."""
    admin = AdminClient(config.base())
    try:
        asked = admin.describe_consumer_groups(
            [config.app_id], request_timeout=REQUEST_SECONDS, include_authorized_operations=True
        )
        group = asked[config.app_id].result(ANSWER_SECONDS)
    except TimeoutError:
        _unanswered.append(admin)
        log.info("slot %s: nobody answers for the group within %.0f s", config.slot, ANSWER_SECONDS)
        return []
    except KafkaException as exc:
        raise_if_unauthorized(exc.args[0], f"group {config.app_id}")
        log.info("slot %s: the group is not known yet: %s", config.slot, exc)
        return []
    allowed = group.authorized_operations
    if allowed and AclOperation.READ not in allowed:
        raise NonRetriableBrokerError(
            f"group {config.app_id}: this worker may not read it; check the rights of this worker; "
            "nothing was committed"
        )
    own = config.transactional_id
    return [member for member in group.members if member.group_instance_id == own]


class InstanceLock:
    """A file lock that the kernel releases with the process, also after kill -9.

    Workers on other machines are found by Kafka: the later one takes the slot's membership and
    producer epoch and says so (`warn_if_member_exists`), the earlier one is fenced and ends
    (`exit_if_instance_id_in_use`).
    """

    def __init__(self, directory: Path, app_id: str, slot: str) -> None:
        self._path = directory / f"{app_id}-{slot}.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
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
                f"slot lock {self._path} is held by process {holder}: stop it, or give this worker "
                "another slot"
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
