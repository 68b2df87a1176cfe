"""Accepted commands of one partition, to be found by the events that they caused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby

from paystream.verify.dataset import Located
from schemas.records import PaymentCommand, PaymentEvent

Cause = tuple[str, str, str]
"""Command id, fingerprint, source."""


def cause_of(event: PaymentEvent) -> Cause:
    """What an event says about the command that it follows from."""
    return (event.command_id, event.fingerprint, event.source)


def decisions(events: Iterable[PaymentEvent]) -> list[list[PaymentEvent]]:
    """Neighbouring events of one payment that follow from one command, in partition order."""

    def key(event: PaymentEvent) -> tuple[object, ...]:
        return (event.payment_id, *cause_of(event), event.occurred_at_ms)

    return [list(group) for _, group in groupby(events, key)]


class CommandLog:
    """Finds commands by their cause, and knows how far each topic was decided per payment."""

    def __init__(self, located: Iterable[Located[PaymentCommand]]) -> None:
        self._found: dict[Cause, list[Located[PaymentCommand]]] = defaultdict(list)
        self._decided_to: dict[tuple[str, str], int] = {}
        for each in located:
            command = each.record
            cause = (command.command_id, command.fingerprint, command.source)
            self._found[cause].append(each)

    def __contains__(self, cause: Cause) -> bool:
        return cause in self._found

    def next(self, event: PaymentEvent) -> tuple[PaymentCommand | None, bool]:
        """The command of a decision's first event, and whether it came in its topic's order.

        None if no accepted command has this cause and time. Copies of one command differ in their
        time alone, and any of them may be the one that was decided.
        """
        candidates = [
            each
            for each in self._found.get(cause_of(event), ())
            if each.record.issued_at_ms == event.occurred_at_ms
        ]
        if not candidates:
            return None, True
        for each in candidates:
            if each.given_up:
                return each.record, True
            if each.offset > self._decided_to.get((event.payment_id, each.topic), -1):
                self._decided_to[event.payment_id, each.topic] = each.offset
                return each.record, True
        return candidates[0].record, False
