"""Builds the CheckpointWriter from the settings, and adds its timer to the app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine import EngineApp
from runtime import log
from runtime.settings import ConfigurationError, connections
from schemas.codec import decode, encode
from schemas.records import LedgerCheckpoint
from schemas.topics import LEDGER_CHECKPOINTS
from sinks.audit.chain.chain import Checkpoint
from sinks.audit.chain.checkpoint_writer import CheckpointWriter
from sinks.audit.chain.keys import KEY_FOLDER, InvalidKey, public_keys, signer
from sinks.audit.chain.log import ChainLogReader
from sinks.audit.settings import AuditSettings
from sinks.audit.store import LedgerStore, LedgerUnavailable

_LOG = log.get(__name__)


def key_directory(settings: AuditSettings, env: Mapping[str, str]) -> Path | None:
    """Directory of the keys: the setting, else in the state directory; None if neither is set."""
    if settings.chain_key_dir:
        return Path(settings.chain_key_dir)
    state = connections(env).paystream_state_dir
    return Path(state) / KEY_FOLDER if state else None


def new_checkpoint_writer(
    app: EngineApp,
    settings: AuditSettings,
    env: Mapping[str, str],
    makes_rows: Callable[[str, bytes], bool],
) -> CheckpointWriter | None:
    """The CheckpointWriter; None if there is no directory for keys. Raises ConfigurationError."""
    directory = key_directory(settings, env)
    if directory is None:
        _LOG.warning(
            "ledger_chain_off",
            reason="Neither [audit] chain_key_dir nor PAYSTREAM_STATE_DIR is set.",
        )
        return None
    known = connections(env)
    try:
        signing, keys = signer(directory), public_keys(directory)
    except (InvalidKey, OSError) as error:
        raise ConfigurationError(f"[audit] chain_key_dir: {error}") from error
    store = LedgerStore(known.clickhouse, settings.databases, settings.insert_timeout_seconds)
    reader = ChainLogReader(known.kafka, makes_rows)
    return CheckpointWriter(store, reader, signing, keys, lambda: app.generation)


def record_of(checkpoint: Checkpoint) -> tuple[str, bytes]:
    """Key and value for the topic of checkpoints."""
    record = msgspec.convert(checkpoint, LedgerCheckpoint, from_attributes=True)
    return f"{checkpoint.topic}/{checkpoint.partition}", encode(record)


def checkpoint_of(value: bytes | None) -> Checkpoint:
    """The checkpoint of such a record. Raises UndecodableRecord."""
    return msgspec.convert(decode(LedgerCheckpoint, value or b""), Checkpoint, from_attributes=True)


def publish(batch: Any, checkpoints: Sequence[Checkpoint]) -> None:
    """Write them in the batch's own transaction."""
    for checkpoint in checkpoints:
        key, value = record_of(checkpoint)
        batch.emit(LEDGER_CHECKPOINTS, key, value)


def checkpoint_tails_regularly(
    app: EngineApp, checkpoint_tails: Callable[[], Awaitable[list[Checkpoint]]], seconds: float
) -> None:
    """Write checkpoints at an interval, so that every row is covered soon."""

    @app.timer(interval=seconds)
    async def write_checkpoints() -> None:
        try:
            for checkpoint in await checkpoint_tails():
                key, value = record_of(checkpoint)
                await app.produce(LEDGER_CHECKPOINTS, key=key, value=value)
        except LedgerUnavailable as error:
            _LOG.info("ledger_tail_not_checkpointed", error=str(error))
