"""`events_are_recomputable`: the events are a pure function of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas import topics
from schemas.records import PaymentCommand, PaymentEvent
from streams.domain import PaymentState, Policy, SequenceGap, Stored, evolve, handle
from streams.settings import policy

States = dict[str, PaymentState | None]


def events_are_recomputable(dataset: Dataset, findings: Findings) -> None:
    """Per partition: the domain over the commands in their order gives the events in theirs.

    Commands that became dead letters are left out, as the agent left them out. Where retention
    took the oldest commands, their events are taken as they are and the rest is computed. Reported
    is the first difference of each partition: all that follows may differ because of it.
    """
    gone = dataset.dead_lettered(topics.PAYMENTS_COMMANDS)
    cut_off = dataset.cut_off(topics.PAYMENTS_COMMANDS)
    rules = policy(dataset.env)
    for partition in sorted(dataset.commands.keys() | dataset.events.keys()):
        located = dataset.commands.get(partition, ())
        commands = [found.record for found in located if (partition, found.offset) not in gone]
        events = [found.record for found in dataset.events.get(partition, ())]
        given = _given(commands, events) if partition in cut_off else 0
        if given:
            findings.note(f"partition {partition}: {given:,} events are older than any command")
        states = _folded(events[:given])
        _compare(partition, _recomputed(commands, states, rules), events[given:], findings)


def _given(commands: list[PaymentCommand], events: list[PaymentEvent]) -> int:
    """How many events come from commands that are gone: all up to the last such one."""
    kept = {command.command_id for command in commands}
    gone = (at for at in range(len(events), 0, -1) if events[at - 1].command_id not in kept)
    return next(gone, 0)


def _folded(events: list[PaymentEvent]) -> States:
    states: States = {}
    for event in events:
        with suppress(SequenceGap):  # `sequence_without_gaps` reports it
            states[event.payment_id] = evolve(states.get(event.payment_id), event)
    return states


def _recomputed(
    commands: list[PaymentCommand], states: States, rules: Policy
) -> Iterator[PaymentEvent]:
    stored: dict[str, Stored] = dict(states)
    for command in commands:
        payment_id = command.payment_id
        handled = handle(stored.get(payment_id), command, rules)
        stored[payment_id] = handled.stored
        for decision, _ in handled.decisions:
            yield from decision.events


def _compare(
    partition: int,
    computed: Iterator[PaymentEvent],
    stored: list[PaymentEvent],
    findings: Findings,
) -> None:
    for want, have in zip_longest(computed, stored):
        findings.checked += 1
        if want != have:
            payment_id = (have or want).payment_id
            findings.violation(payment_id, f"partition {partition}: {_difference(want, have)}")
            return


def _difference(want: PaymentEvent | None, have: PaymentEvent | None) -> str:
    if have is None:
        assert want is not None
        return f"{_name(want)} follows from {want.command_kind} {want.command_id} and is missing"
    if want is None:
        return f"{_name(have)} follows from no command"
    fields = [f for f in want.__struct_fields__ if getattr(want, f) != getattr(have, f)]
    values = ", ".join(f"{f}: {getattr(have, f)!r} not {getattr(want, f)!r}" for f in fields[:3])
    return f"{_name(have)} differs from what its command gives: {values}"


def _name(event: PaymentEvent) -> str:
    return f"{event.type} {event.event_id}"
