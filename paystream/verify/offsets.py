"""`offsets_at_end`: every consumer group has read what there is, no transaction is open."""

from __future__ import annotations

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings


def offsets_at_end(dataset: Dataset, findings: Findings) -> None:
    """Nothing is left for a read_committed reader; last stable offset = high watermark."""
    positions = dataset.sources.positions()
    for at, unread_records in positions:
        where = f"{at.group} {at.topic}/{at.partition}"
        behind = f"committed {at.committed}, end {at.stable_end}: {unread_records} records unread"
        findings.expect(unread_records == 0, where, behind)
    ends = {(at.topic, at.partition, at.stable_end, at.end) for at, _ in positions}
    for topic, partition, stable_end, end in sorted(ends):
        problem = f"a transaction is open since offset {stable_end}, end {end}"
        findings.expect(stable_end == end, f"{topic}/{partition}", problem)
