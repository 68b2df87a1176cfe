"""Ending a predecessor's open transaction at once, instead of waiting for its time-out."""

from __future__ import annotations

import logging
import time

from confluent_kafka import KafkaException
from confluent_kafka import Producer as KafkaProducer

from engine.clients import ClientConfig

log = logging.getLogger(__name__)
INIT_SECONDS = 10


def fence_owner(config: ClientConfig, transactional_id: str) -> None:
    """Bump the epoch of `transactional_id`: the broker aborts its transaction, its owner is fenced.

    Blocking, up to 10 s. A failure is logged only: the transaction then ends by its own time-out.
    """
    started = time.monotonic()
    settings = config.transactional_producer() | {"transactional.id": transactional_id}
    try:
        KafkaProducer(settings).init_transactions(INIT_SECONDS)
    except KafkaException as exc:
        log.warning("fencing %s failed: %s", transactional_id, exc)
        return
    log.warning("fenced %s in %.2f s", transactional_id, time.monotonic() - started)
