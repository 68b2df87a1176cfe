"""How the messages of one poll are divided into what an agent handles as a whole."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from engine.types import TopicPartition


class BatchSlice:
    """Messages of one topic, in order per partition, that are handled or fail together.

    `partition` None: of several partitions, for an agent with `merge_partitions`. `isolated`: a
    message that failed together with others before. `offsets`: to commit, if they are not those of
    the messages.
    """

    __slots__ = ("isolated", "messages", "offsets", "partition", "topic")

    def __init__(
        self,
        topic: str,
        partition: int | None,
        messages: list[Any],
        *,
        isolated: bool = False,
        offsets: dict[TopicPartition, int] | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.messages = messages
        self.isolated = isolated
        self.offsets = offsets

    def next_offsets(self) -> dict[TopicPartition, int]:
        """Offsets to commit when all are handled."""
        if self.offsets is not None:
            return self.offsets
        if self.partition is not None:
            source = TopicPartition(self.topic, self.partition)
            return {source: int(self.messages[-1].offset()) + 1}
        last = {message.partition(): message for message in self.messages}
        return {
            TopicPartition(self.topic, number): int(message.offset()) + 1
            for number, message in last.items()
        }

    def parts_at(self, index: int) -> list[BatchSlice]:
        """Two slices: the messages before the index, and the rest."""
        parts = (self.messages[:index], self.messages[index:])
        return [BatchSlice(self.topic, self.partition, part) for part in parts]

    def split(self) -> list[BatchSlice]:
        """Smaller ones in the same order: single messages, or halves with `merge_partitions`.

        An agent with `merge_partitions` pays per batch: with one poison record in 4,000 it is
        called some 25 times, not 4,000.
        """
        count = len(self.messages)
        step = 1 if self.partition is not None else max(1, (count + 1) // 2)
        parts = [self.messages[at : at + step] for at in range(0, count, step)]
        return [
            BatchSlice(self.topic, self.partition, part, isolated=len(part) == 1) for part in parts
        ]


def batch_slices(
    messages: Iterable[Any],
    merge_partitions: Container[str] = (),
    topics: Sequence[str] = (),
) -> list[BatchSlice]:
    """One per partition, one per topic in `merge_partitions`; offset order is kept.

    Slices are in the order of their partition's number and then of `topics`, so that the order is a
    function of the records alone, not of the way in which brokers answered. In a slice of several
    partitions the records of each partition are together.
    """
    groups: dict[tuple[str, int], list[Any]] = {}
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
    rank = {name: at for at, name in enumerate(topics)}
    return sorted(
        found.values(),
        key=lambda slice_: (
            -1 if slice_.partition is None else slice_.partition,
            rank.get(slice_.topic, len(rank)),
        ),
    )
