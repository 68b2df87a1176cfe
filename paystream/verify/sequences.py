"""`sequence_without_gaps`: the events of each payment are 1, 2, 3, …"""

from __future__ import annotations

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas import topics
from schemas.ids import event_id


def sequence_without_gaps(dataset: Dataset, findings: Findings) -> None:
    """Per payment 1, 2, 3, … in partition order; ids say the same; one partition per payment."""
    last: dict[str, int] = {}
    home: dict[str, int] = {}
    for partition, located in dataset.events.items():
        for found in located:
            event = found.record
            expected = last.get(event.payment_id, 0) + 1
            problem = f"event {event.event_id} at {partition}/{found.offset}, expected {expected}"
            findings.expect(event.sequence == expected, event.payment_id, problem)
            if event.event_id != event_id(event.payment_id, event.sequence):
                findings.violation(event.payment_id, f"{event.event_id} is not its sequence")
            if home.setdefault(event.payment_id, partition) != partition:
                findings.violation(event.payment_id, f"on two partitions: {event.event_id}")
            last[event.payment_id] = event.sequence
    _strays_are_known(dataset, findings)


def _strays_are_known(dataset: Dataset, findings: Findings) -> None:
    """A record that is no event was given up by its readers; an event that is missing is a gap."""
    given_up = dataset.dead_lettered(topics.PAYMENTS_EVENTS)
    strays = dataset.undecodable[topics.PAYMENTS_EVENTS]
    for stored in strays:
        if (stored.partition, stored.offset) not in given_up:
            where = f"{stored.topic} {stored.partition}/{stored.offset}"
            findings.violation(where, "an event that cannot be decoded")
    if strays:
        findings.note(f"{len(strays)} records of {topics.PAYMENTS_EVENTS} are no events")
