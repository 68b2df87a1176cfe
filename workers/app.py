"""How each worker's app is made from the environment: the same for all, but for its group."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine import EngineApp, EngineSettings, Replays
from runtime.dead_letters import encode_dead_letter
from runtime.settings import ConfigurationError, connections, load
from schemas.codec import NewerSchema
from schemas.topics import PAYMENTS_DEAD_LETTERS, PAYMENTS_EVENTS, PAYMENTS_REPLAYS, TOPICS
from workers.catalogue import WORKERS
from workers.replays import decode_replay, takes_replays


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all workers share; section [worker], PAYSTREAM_WORKER_*."""

    partitions: int = TOPICS[PAYMENTS_EVENTS].partitions
    """Of every topic and table; must be what the topics were created with."""
    replication: int = 1
    """Of changelogs: 3 where there are three brokers."""
    unknown_schema: Literal["wait", "dead_letter"] = "wait"
    """What a worker does with a well-formed record whose schema id comes after those it knows. A
    newer release writes it, so the worker waits to be updated. `dead_letter`: somebody made sure
    that no newer release writes here.
    """


def new_app(group: str, instance_id: str, env: Mapping[str, str], **own: Any) -> EngineApp:
    """The app of one worker, without agents yet; `own`: its EngineSettings that differ.

    Raises ConfigurationError.
    """
    chosen = load(WorkerSettings, "worker", env)
    known = connections(env).need("kafka_bootstrap_servers")
    settings = load(EngineSettings, "engine", env)
    security = {**known.kafka.security, **settings.extra}
    data_dir = Path(known.paystream_state_dir or tempfile.gettempdir()) / "paystream-engine"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        return EngineApp(
            group,
            bootstrap_servers=known.kafka_bootstrap_servers,
            instance_id=instance_id,
            settings=msgspec.structs.replace(_paced(settings, group), **own, extra=security),
            topic_partitions=chosen.partitions,
            replication=chosen.replication,
            data_dir=data_dir,
            dead_letter_topic=PAYMENTS_DEAD_LETTERS,
            encode_dead_letter=encode_dead_letter,
            replays=Replays(PAYMENTS_REPLAYS, decode_replay) if takes_replays(group) else None,
            wait_errors=(NewerSchema,) if chosen.unknown_schema == "wait" else (),
        )
    except ValueError as error:  # what the group member cannot do with [engine.extra]
        raise ConfigurationError(f"[engine.extra] {error}") from error


def _paced(settings: EngineSettings, group: str) -> EngineSettings:
    """With the worker's own interval of commits, unless an operator has set one for all."""
    if settings.commit_interval_seconds is not None:
        return settings
    seconds = next((w.commit_interval_seconds for w in WORKERS.values() if w.group == group), 0.0)
    return msgspec.structs.replace(settings, commit_interval_seconds=seconds)
