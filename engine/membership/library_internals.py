"""Every internal of Faust, aiokafka and librdkafka that the engine builds on.

Pin these libraries' versions. `check` runs at start and fails when an upgrade changed one of the
internals.
"""

from __future__ import annotations

import inspect
import struct
from typing import Any

import aiokafka.consumer.group_coordinator
import faust.app.base
import faust.tables.manager
import faust.tables.recovery
import faust.transport.consumer
import faust.transport.drivers.aiokafka
from confluent_kafka import Consumer

from engine.errors import LibraryInternalsChanged

METADATA_MAGIC = b"CGMDv2:"

OVERRIDDEN: tuple[tuple[type[Any], str, tuple[str, ...]], ...] = (
    # Faust's driver: pause the engine's partitions, keep Faust from fetching them
    (faust.transport.drivers.aiokafka.Consumer, "_set_active_tps", ("self", "tps")),
    (faust.transport.drivers.aiokafka.Consumer, "resume_partitions", ("self", "tps")),
    (faust.transport.drivers.aiokafka.Consumer, "verify_event_path", ("self", "now", "tp")),
    (faust.transport.drivers.aiokafka.Consumer, "on_partitions_revoked", ("self", "revoked")),
    (
        faust.transport.drivers.aiokafka.Consumer,
        "on_partitions_assigned",
        ("self", "assigned", "generation_id"),
    ),
    (
        faust.transport.drivers.aiokafka.ConsumerRebalanceListener,
        "on_partitions_assigned",
        ("self", "assigned"),
    ),
    # aiokafka reports to a replaced static member only that its id is unknown
    (
        faust.transport.drivers.aiokafka.ConsumerRebalanceListener,
        "on_partitions_revoked",
        ("self", "revoked"),
    ),
    (faust.transport.drivers.aiokafka.Producer, "key_partition", ("self", "topic", "key")),
    (faust.transport.drivers.aiokafka.Producer, "create_topic", ("self", "topic")),
    # Faust's recovery: transactional tables never enter it
    (faust.tables.recovery.Recovery, "add_active", ("self", "table", "tp")),
    (faust.tables.recovery.Recovery, "add_standby", ("self", "table", "tp")),
    (faust.tables.manager.TableManager, "_update_channels", ("self",)),
    # Tasks and timers of the app: not after a recovery of Faust's, which has nothing to recover
    (faust.app.base.App, "_wait_for_table_recovery_completed", ("self",)),
)
"""(class, method, parameters) of what is overridden."""


def group_metadata(group: str, generation: int, member: str, instance: str | None) -> bytes:
    """librdkafka's serialised ConsumerGroupMetadata, for a member that lives in another client.

    `send_offsets_to_transaction` takes these bytes; the broker then rejects a stale generation or
    an unknown member (KIP-447), which aiokafka's own transactions cannot ask for.
    """
    tail = b"\1" if instance is None else b"\0" + instance.encode() + b"\0"
    head = METADATA_MAGIC + struct.pack("=i", generation)
    return head + group.encode() + b"\0" + member.encode() + b"\0" + tail


def member_id(listener_thread: Any) -> str:
    """Member id of aiokafka's consumer behind Faust's consumer thread; "" when the broker no longer
    knows it.
    """
    return str(listener_thread._ensure_consumer()._coordinator.member_id)


def pause_in_client(listener_thread: Any, partitions: list[Any]) -> None:
    """Pause inside aiokafka itself, before its first fetch."""
    listener_thread._ensure_consumer().pause(*partitions)


def set_recovery(table_manager: Any, recovery_class: Any) -> Any:
    """The table manager's recovery service, made once, of our class."""
    if table_manager._recovery is None:
        table_manager._recovery = recovery_class(
            table_manager.app, table_manager, beacon=table_manager.beacon, loop=table_manager.loop
        )
    return table_manager._recovery


def check() -> None:
    """Raises `LibraryInternalsChanged` naming the first part that is not as pinned."""
    for owner, name, parameters in OVERRIDDEN:
        _check_method(owner, name, parameters)
    _check_names()
    _check_metadata_bytes()


def _check_method(owner: type[Any], name: str, parameters: tuple[str, ...]) -> None:
    method = getattr(owner, name, None)
    if method is None:
        raise LibraryInternalsChanged(f"{owner.__module__}.{owner.__name__}.{name} is gone")
    found = tuple(inspect.signature(method).parameters)
    if found[: len(parameters)] != parameters:
        raise LibraryInternalsChanged(
            f"{owner.__module__}.{owner.__name__}.{name} takes {found}, not {parameters}"
        )


def _check_names() -> None:
    thread = faust.transport.drivers.aiokafka.AIOKafkaConsumerThread
    wanted = (
        (thread, "_ensure_consumer"),
        (aiokafka.consumer.group_coordinator.GroupCoordinator, "_on_join_prepare"),
        (faust.tables.manager.TableManager, "recovery"),
    )
    for owner, name in wanted:
        if not hasattr(owner, name):
            raise LibraryInternalsChanged(f"{owner.__module__}.{owner.__name__}.{name} is gone")
    source = inspect.getsource(aiokafka.consumer.group_coordinator.GroupCoordinator.__init__)
    if "self.member_id" not in source or "self.generation" not in source:
        raise LibraryInternalsChanged(
            "aiokafka's GroupCoordinator keeps no member_id or generation"
        )
    if "_recovery" not in inspect.getsource(faust.tables.manager.TableManager.__init__):
        raise LibraryInternalsChanged("Faust's TableManager keeps no _recovery")


def _check_metadata_bytes() -> None:
    for instance in (None, "instance-1"):
        settings = {"group.id": "group-1", "bootstrap.servers": "127.0.0.1:1", "log_level": 0}
        if instance is not None:
            settings["group.instance.id"] = instance
        consumer = Consumer(settings)
        found = consumer.consumer_group_metadata()
        consumer.close()
        if found != group_metadata("group-1", -1, "", instance):
            raise LibraryInternalsChanged(
                f"librdkafka's group metadata is {found!r}: fencing would not work with it"
            )
