"""How the messages of one poll are cut into what an agent handles as a whole."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from engine.transactions.transaction import SourcePartition


class BatchSlice:
    """Messages of one topic, in order per partition, that are handled or fail together.

    `partition` None: of several partitions, for an agent that takes whole cycles. `isolated`: a
    message that was tried with others before.
    """

    __slots__ = ("isolated", "messages", "partition", "topic")

    def __init__(
        self, topic: str, partition: int | None, messages: list[Any], *, isolated: bool = False
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.messages = messages
        self.isolated = isolated

    def next_offsets(self) -> dict[SourcePartition, int]:
        """Offsets to commit when all are handled."""
        if self.partition is not None:
            return {(self.topic, self.partition): int(self.messages[-1].offset()) + 1}
        return {
            (self.topic, message.partition()): int(message.offset()) + 1
            for message in self.messages
        }

    def split(self) -> list[BatchSlice]:
        """Smaller ones in the same order: halves of a whole cycle, single messages of a partition.

        An agent of whole cycles pays per batch: with one poison record in 4,000 it is asked some 25
        times, not 4,000.
        """
        count = len(self.messages)
        step = 1 if self.partition is not None else max(1, (count + 1) // 2)
        parts = [self.messages[at : at + step] for at in range(0, count, step)]
        return [
            BatchSlice(self.topic, self.partition, part, isolated=len(part) == 1) for part in parts
        ]


def deliveries(messages: Iterable[Any], merge_partitions: Container[str] = ()) -> list[BatchSlice]:
    """One per partition, one per topic in `merge_partitions`; by first appearance, order kept.

    Within a whole cycle the records of a partition are together.
    """
    groups: dict[SourcePartition, list[Any]] = {}
    for message in messages:
        source = (message.topic(), message.partition())
        group = groups.get(source)
        if group is None:
            groups[source] = [message]
        else:
            group.append(message)
    found: dict[tuple[str, int | None], BatchSlice] = {}
    for (topic, number), group in groups.items():
        partition = None if topic in merge_partitions else number
        if (topic, partition) in found:
            found[topic, partition].messages += group
        else:
            found[topic, partition] = BatchSlice(topic, partition, group)
    return list(found.values())
