"""Breaks: opened and closed by discrepancies, moved by operators (pure)."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from schemas.enums import BreakKind, BreakState
from schemas.ids import derived_id
from sinks.reconciliation.matching.rules import Discrepancies
from sinks.reconciliation.matching.state import SYSTEM, Break

Breaks = tuple[Break, ...]
_MOVES = {
    BreakState.OPEN: (BreakState.ACKNOWLEDGED, BreakState.RESOLVED, BreakState.WRITTEN_OFF),
    BreakState.ACKNOWLEDGED: (BreakState.OPEN, BreakState.RESOLVED, BreakState.WRITTEN_OFF),
}
"""State -> the states to which an operator may move a break."""


class Move(msgspec.Struct, frozen=True):
    """An operator's decision about a break; `reason` is kept with it."""

    state: str
    actor: str
    reason: str


def update_breaks(
    breaks: Breaks, discrepancies: Discrepancies, scope: str, at_ms: int
) -> tuple[Breaks, Breaks]:
    """(all breaks, those that are new or changed) when these are the discrepancies.

    `scope` is the operation or report. A break that an operator has closed stays as it is.
    """
    known = {each.subject: each for each in breaks}
    changed: list[Break] = []
    for subject, kind in sorted(discrepancies.items()):
        after = _found(known.get(subject), scope, subject, kind, at_ms)
        if after is not known.get(subject):
            known[subject] = after
            changed.append(after)
    for subject, each in list(known.items()):
        if subject not in discrepancies and not each.is_closed:
            known[subject] = _closed_by_system(each)
            changed.append(known[subject])
    return tuple(known.values()), tuple(changed)


def _found(before: Break | None, scope: str, subject: str, kind: BreakKind, at_ms: int) -> Break:
    if before is None:
        break_id = derived_id("brk_", scope, subject)
        return Break(break_id, subject, kind, BreakState.OPEN, 1, at_ms)
    if before.is_final or (before.kind == kind and not before.is_closed):
        return before
    state = BreakState.OPEN if before.is_closed else before.state
    return replace(before, kind=kind, state=state, version=before.version + 1, closed_by="")


def _closed_by_system(before: Break) -> Break:
    return replace(before, state=BreakState.RESOLVED, version=before.version + 1, closed_by=SYSTEM)


def rejection(found: Break | None, move: Move) -> str:
    """Why a break cannot be moved like that; empty if it can."""
    if found is None:
        return "there is no such break"
    if move.state not in _MOVES.get(BreakState(found.state), ()):
        return f"a break that is {found.state} cannot become {move.state}"
    if not move.actor or not move.reason:
        return "a decision needs an actor and a reason"
    if move.state == BreakState.WRITTEN_OFF and found.kind == BreakKind.LATE:
        return "late money has arrived in full, so nothing can be written off: resolve the break"
    return ""


def moved(found: Break, move: Move) -> Break:
    """The break after an operator's decision."""
    closes = move.state in (BreakState.RESOLVED, BreakState.WRITTEN_OFF)
    return replace(
        found,
        state=move.state,
        version=found.version + 1,
        closed_by=move.actor if closes else "",
    )


def by_id(breaks: Iterable[Break], break_id: str) -> Break | None:
    """The break of that id."""
    return next((each for each in breaks if each.break_id == break_id), None)


def with_break(breaks: Breaks, changed: Break) -> Breaks:
    """The breaks, one of them replaced by its new version."""
    return tuple(changed if each.break_id == changed.break_id else each for each in breaks)
