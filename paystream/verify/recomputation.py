"""`events_are_recomputable` and `sources_are_right`: events are what the commands led to."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from msgspec.structs import replace

from paystream.verify.command_log import CommandLog, cause_of, decisions
from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas import topics
from schemas.enums import ArchiveCommandKind, CommandKind
from schemas.records import PaymentCommand, PaymentEvent
from streams.domain import PaymentState, Policy, SequenceGap, Stored, evolve, handle
from streams.settings import policy

States = dict[str, PaymentState | None]
_ARCHIVE_KINDS = frozenset(ArchiveCommandKind)


def events_are_recomputable(dataset: Dataset, findings: Findings) -> None:
    """Per partition: the domain over the commands gives the events, and each command has its own.

    The order is that of the events: an event names its command. Commands of one topic must have
    been decided in that topic's order, per payment. Commands that were refused are left out, and
    one that became a dead letter may have its events by a replay, or none. Where retention took the
    oldest commands, their events are taken as they are. Reported is the first difference of each
    partition: all that follows may differ because of it.
    """
    rules = policy(dataset.env)
    cut_off = dataset.commands_cut_off()
    for partition in sorted(dataset.commands.keys() | dataset.events.keys()):
        located = dataset.commands.get(partition, [])
        events = [found.record for found in dataset.events.get(partition, ())]
        log = CommandLog(located)
        given = _given(log, events) if partition in cut_off else 0
        if given:
            findings.note(f"partition {partition}: {given:,} events are older than any command")
        problem = _first_difference(log, events[given:], _folded(events[:given]), rules, findings)
        if problem is None:
            kept = [found.record for found in located if not found.given_up]
            problem = _without_event(kept, events)
        if problem is not None:
            findings.violation(problem[0], f"partition {partition}: {problem[1]}")


def sources_are_right(dataset: Dataset, findings: Findings) -> None:
    """No event was caused by a command from the wrong source: each kind counts on its topic alone.

    Two things are compared: what the event says of its command, with what the topics accept; and
    the command itself, with the topic on which it stands.
    """
    accepted = _accepted_pairs()
    for partition, located in dataset.events.items():
        places = defaultdict(set)
        for found in dataset.commands.get(partition, ()):
            command = found.record
            places[command.command_id, command.fingerprint].add((found.topic, command.source))
        for each in located:
            event = each.record
            pair = (event.source, event.command_kind)
            problem = f"{_name(event)}: no topic accepts {event.command_kind} from {event.source}"
            findings.expect(pair in accepted, event.payment_id, problem)
            known = places.get((event.command_id, event.fingerprint))
            if known and not any(source == event.source for _, source in known):
                where = ", ".join(sorted(topic for topic, _ in known))
                findings.violation(
                    event.payment_id,
                    f"{_name(event)} names {event.source}, and its command stands on {where}",
                )


def _accepted_pairs() -> set[tuple[str, str]]:
    return {
        (source, kind)
        for name in topics.PAYMENT_COMMAND_TOPICS
        for kind, source in topics.TOPICS[name].commands.items()
    }


def _given(log: CommandLog, events: list[PaymentEvent]) -> int:
    """How many events come from commands that are gone: all up to the last such one."""
    gone = (at for at in range(len(events), 0, -1) if cause_of(events[at - 1]) not in log)
    return next(gone, 0)


def _folded(events: list[PaymentEvent]) -> States:
    states: States = {}
    for event in events:
        with suppress(SequenceGap):  # `sequence_without_gaps` reports it
            states[event.payment_id] = evolve(states.get(event.payment_id), event)
    return states


def _first_difference(
    log: CommandLog,
    events: list[PaymentEvent],
    states: States,
    rules: Policy,
    findings: Findings,
) -> tuple[str, str] | None:
    """Payment and sentence."""
    stored: dict[str, Stored] = dict(states)
    for group in decisions(events):
        first = group[0]
        payment_id = first.payment_id
        command, in_order = log.next(first)
        if command is None:
            return payment_id, f"{_name(first)} follows from no command"
        if not in_order:
            return payment_id, f"{_name(first)}: a later command of its topic was decided before"
        handled = handle(stored.get(payment_id), _as_decided(command, first), rules)
        stored[payment_id] = handled.stored
        computed = [event for decision, _ in handled.decisions for event in decision.events]
        findings.checked += len(group)
        if computed != group:
            return payment_id, _difference(computed, group)
    return None


def _as_decided(command: PaymentCommand, event: PaymentEvent) -> PaymentCommand:
    """The agent takes a create's fee from the registry, and the event keeps which it was."""
    if command.kind != CommandKind.CREATE or event.sequence != 1:
        return command
    return replace(
        command,
        fee_basis_points=event.fee_basis_points,
        fee_fixed_minor=event.fee_fixed_minor,
    )


def _without_event(
    commands: list[PaymentCommand], events: list[PaymentEvent]
) -> tuple[str, str] | None:
    """A command that is no repeat has at least one event; where a payment is kept has none."""
    caused = {(event.command_id, event.fingerprint) for event in events}
    for command in commands:
        if command.kind in _ARCHIVE_KINDS:
            continue
        if (command.command_id, command.fingerprint) not in caused:
            return (
                command.payment_id,
                f"an event follows from {command.kind} {command.command_id} and is missing",
            )
    return None


def _difference(computed: list[PaymentEvent], stored: list[PaymentEvent]) -> str:
    for want, have in zip(computed, stored, strict=False):
        if want != have:
            names = [f for f in want.__struct_fields__ if getattr(want, f) != getattr(have, f)]
            values = ", ".join(
                f"{name}: {getattr(have, name)!r} not {getattr(want, name)!r}" for name in names[:3]
            )
            return f"{_name(have)} differs from what its command gives: {values}"
    if len(computed) > len(stored):
        want = computed[len(stored)]
        return f"{_name(want)} follows from {want.command_kind} {want.command_id} and is missing"
    return f"{_name(stored[len(computed)])} does not follow from its command"


def _name(event: PaymentEvent) -> str:
    return f"{event.type} {event.event_id}"
