"""Checkpoints as rows of ClickHouse, and back."""

from __future__ import annotations

from sinks.audit.chain.chain import SEGMENT_OFFSETS, Segment
from sinks.audit.raw_table import Row, Table

CHECKPOINTS = Table(
    "ledger_checkpoints",
    (
        ("kafka_topic", "LowCardinality(String)"),
        ("kafka_partition", "Int32"),
        ("segment", "Int64"),
        ("first_offset", "Int64"),
        ("end_offset", "Int64"),
        ("records", "UInt32"),
        ("previous", "String"),
        ("value", "String"),
        ("key_id", "String"),
        ("signature", "String"),
        ("offsets", "Array(Int64)"),
        ("leaves", "String"),
        ("ingested_at", "DateTime64(3, 'UTC')"),
    ),
    lambda *_: (),
)
"""Written by CheckpointWriter, not from records of a topic."""

FIELDS = """kafka_topic AS topic, kafka_partition AS partition, segment, first_offset, end_offset,
    records, previous, value, key_id, signature"""
"""What to select to get the fields of a Checkpoint."""

LAST_COMPLETE = f"""
SELECT {FIELDS}
FROM {{raw}}.ledger_checkpoints FINAL
WHERE kafka_topic = {{topic:String}} AND kafka_partition = {{partition:Int32}}
    AND segment < {{before:Int64}} AND end_offset = (segment + 1) * {SEGMENT_OFFSETS}
ORDER BY segment DESC LIMIT 100
"""  # noqa: S608 - our own names
"""The newest complete checkpoints before a segment, the newest first."""


def row_of(segment: Segment, ingested_at_ms: int) -> Row:
    """A row of CHECKPOINTS."""
    checkpoint = segment.checkpoint
    return (
        checkpoint.topic,
        checkpoint.partition,
        checkpoint.segment,
        checkpoint.first_offset,
        checkpoint.end_offset,
        checkpoint.records,
        checkpoint.previous,
        checkpoint.value,
        checkpoint.key_id,
        checkpoint.signature,
        segment.offsets.tolist(),
        segment.leaves.tobytes(),
        ingested_at_ms,
    )
