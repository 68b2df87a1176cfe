"""`ledger_matches_checkpoints`, `checkpoints_match_topic`: the signed chain over the views.

The first needs only SELECT on the views and the public key; how the chain is made is written in
sinks/audit/chain/chain.py and docs/decisions/0015.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from engine import TopicPartition
from paystream.verify.chain_rows import Coverage, check_rows
from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from paystream.verify.sources import SourceUnavailable
from runtime.settings import connections, load
from schemas.topics import LEDGER_CHECKPOINTS
from sinks.audit.chain.chain import (
    GENESIS,
    LEAF_BYTES,
    SEGMENT_OFFSETS,
    Checkpoint,
    Segment,
)
from sinks.audit.chain.checkpoint_writer import CHAINED
from sinks.audit.chain.keys import KEY_FOLDER, InvalidKey, PublicKeys, is_signed, public_keys
from sinks.audit.chain.rows import FIELDS
from sinks.audit.chain.setup import checkpoint_of
from sinks.audit.settings import AuditSettings

PUBLIC_KEY_VARIABLE = "PAYSTREAM_LEDGER_PUBLIC_KEY"
"""File or directory of the keys to trust; else the state directory's own."""
PLACES = """
SELECT DISTINCT kafka_topic, kafka_partition FROM {views}.ledger_entries
UNION DISTINCT SELECT DISTINCT kafka_topic, kafka_partition FROM {views}.payment_events
UNION DISTINCT SELECT DISTINCT kafka_topic, kafka_partition FROM {views}.payout_events
UNION DISTINCT SELECT DISTINCT kafka_topic, kafka_partition FROM {views}.reconciliation_events
UNION DISTINCT SELECT DISTINCT kafka_topic, kafka_partition FROM {views}.ledger_checkpoints
ORDER BY ALL
"""
CHECKPOINTS = f"""
SELECT {FIELDS}, offsets, leaves FROM {{views}}.ledger_checkpoints
WHERE kafka_topic = '{{topic}}' AND kafka_partition = {{partition}} ORDER BY segment
"""  # noqa: S608 - our topics and numbers
SIGNED = f"SELECT {FIELDS} FROM {{views}}.ledger_checkpoints"  # noqa: S608 - our names


def ledger_matches_checkpoints(dataset: Dataset, findings: Findings) -> None:
    """Checkpoints are signed and follow one another; each row is the one that they cover."""
    keys = trusted_keys(dataset.env)
    findings.note(f"trusted keys: {', '.join(sorted(keys))}")
    for row in list(dataset.ledger(PLACES)):
        source = TopicPartition(row["kafka_topic"], row["kafka_partition"])
        if source.topic not in CHAINED:
            findings.note(f"{source.topic}/{source.partition}: its records are not in the chain")
            continue
        found = list(_checkpoints(dataset, source))
        _check_chain(source, [each.checkpoint for each in found], findings)
        good = [each for each in found if _is_good(each, keys, findings)]
        check_rows(dataset, source, _coverage(good, found), findings)


def trusted_keys(env: Mapping[str, str]) -> PublicKeys:
    """Public keys by id. Raises SourceUnavailable."""
    path = env.get(PUBLIC_KEY_VARIABLE) or load(AuditSettings, "audit", env).chain_key_dir
    state = connections(env).paystream_state_dir
    if not path and not state:
        raise SourceUnavailable(
            "There is no public key. Give --public-key, a PEM file or a directory of PEM files."
        )
    try:
        keys = public_keys(Path(path) if path else Path(state) / KEY_FOLDER)
    except InvalidKey as error:
        raise SourceUnavailable(str(error)) from error
    if not keys:
        raise SourceUnavailable(
            "There is no public key yet. Start the audit worker; it creates one."
        )
    return keys


def _checkpoints(dataset: Dataset, source: TopicPartition) -> Iterator[Segment]:
    sql = CHECKPOINTS.replace("{topic}", source.topic).replace("{partition}", str(source.partition))
    for row in dataset.ledger(sql):
        fields = {name: row[name] for name in Checkpoint.__struct_fields__}
        leaves = np.frombuffer(bytes.fromhex(row["leaves"]), np.uint8)
        whole = leaves[: leaves.size // LEAF_BYTES * LEAF_BYTES].reshape(-1, LEAF_BYTES)
        yield Segment(Checkpoint(**fields), np.array(row["offsets"], np.int64), whole)


def _is_good(segment: Segment, keys: PublicKeys, findings: Findings) -> bool:
    name = _name(segment.checkpoint)
    if not is_signed(segment.checkpoint, keys):
        findings.expect(
            False, name, f"is not signed by a trusted key ({segment.checkpoint.key_id})"
        )
        return False
    rows_agree = len(segment.offsets) == len(segment.leaves) and segment.is_valid
    findings.expect(rows_agree, name, "its offsets or leaves are not those that were signed")
    return rows_agree


def _check_chain(source: TopicPartition, found: list[Checkpoint], findings: Findings) -> None:
    """None missing, none out of line. (Whether each is genuine is another question.)"""
    where = f"{source.topic}/{source.partition}"
    if found and found[0].previous != GENESIS:
        problem = f"the checkpoints before segment {found[0].segment} are missing"
        findings.violation(where, problem)
    for before, after in pairwise(found):
        if after.segment != before.segment + 1:
            missing = f"{before.segment + 1} to {after.segment - 1}"
            findings.violation(where, f"the checkpoints of segments {missing} are missing")
        elif not before.complete:
            findings.violation(_name(before), "its segment goes on, and its end has no checkpoint")
        elif after.previous != before.value:
            findings.violation(_name(after), "does not follow from the one before")


def _coverage(good: list[Segment], found: list[Segment]) -> Coverage:
    offsets = np.concatenate([np.zeros(0, np.int64), *(each.offsets for each in good)])
    leaves = np.concatenate([np.zeros((0, LEAF_BYTES), np.uint8), *(each.leaves for each in good)])
    covered = [(each.checkpoint.first_offset, each.checkpoint.end_offset) for each in good]
    last = found[-1].checkpoint if found else None
    next_segment = 0 if last is None else last.segment + last.complete
    return Coverage(offsets, leaves, covered, (next_segment + 1) * SEGMENT_OFFSETS)


def checkpoints_match_topic(dataset: Dataset, findings: Findings) -> None:
    """ClickHouse has every checkpoint that was published on Kafka, in its longest form."""
    keys = trusted_keys(dataset.env)
    stored: dict[tuple[str, int, int], Checkpoint] = {}
    for row in dataset.ledger(SIGNED):
        checkpoint = Checkpoint(**row)
        stored[checkpoint.topic, checkpoint.partition, checkpoint.segment] = checkpoint
    for published in dataset.sources.records(LEDGER_CHECKPOINTS):
        checkpoint = checkpoint_of(published.value)
        name = _name(checkpoint)
        if not is_signed(checkpoint, keys):
            findings.expect(False, name, f"on {LEDGER_CHECKPOINTS} is not signed by a trusted key")
            continue
        here = stored.get((checkpoint.topic, checkpoint.partition, checkpoint.segment))
        if here is None:
            findings.expect(False, name, "is on Kafka and not in ClickHouse")
        elif here.end_offset < checkpoint.end_offset:
            problem = f"ClickHouse has it only to {here.end_offset}: it was set back"
            findings.expect(False, name, problem)
        else:
            differs = here.end_offset == checkpoint.end_offset and here.value != checkpoint.value
            findings.expect(not differs, name, "has another value on Kafka")


def _name(checkpoint: Checkpoint) -> str:
    where = f"{checkpoint.topic}/{checkpoint.partition}"
    return f"checkpoint {where} {checkpoint.first_offset} to {checkpoint.end_offset}"
