"""A payment's memory goes by a command's kind, its outcome document by who issued it."""

from typing import Any

import pytest

from schemas.enums import SYSTEM_COMMAND_KINDS, SYSTEM_SOURCES, CommandKind, Source
from schemas.records import PaymentCommand
from sinks.status.documents import outcomes

SETTLE = (CommandKind.SETTLE, Source.RECONCILIATION)
RESOLVE = (CommandKind.RESOLVE_UNKNOWN, Source.OPERATOR)


def settled_by_reconciliation(story: Any) -> PaymentCommand:
    story.captured()
    command: PaymentCommand = story.command(CommandKind.SETTLE, source=Source.RECONCILIATION)
    return command


def resolved_by_an_operator(story: Any) -> PaymentCommand:
    story.create()
    story.result("unknown")
    command: PaymentCommand = story.command(CommandKind.RESOLVE_UNKNOWN, source=Source.OPERATOR)
    return command


def test_reconciliations_settle_is_remembered_permanently_and_has_no_outcome(story: Any) -> None:
    """A copy that comes years later must not settle again, and no client waits for an answer."""
    command = settled_by_reconciliation(story)
    decision = story.send(command)
    assert command.command_id in {seen.command_id for seen in story.state.client_commands}
    assert outcomes(decision.events) == []


def test_an_operators_inquiry_is_soon_forgotten_and_has_an_outcome(story: Any) -> None:
    """Inquiries repeat, and each has its operation and attempt; but a person waits for this one."""
    command = resolved_by_an_operator(story)
    decision = story.send(command)
    assert command.command_id in {seen.command_id for seen in story.state.system_commands}
    assert [document.key for document in outcomes(decision.events)] == [
        f"command:{command.command_id}"
    ]


@pytest.mark.parametrize(
    ("kind", "source", "of_system_kind", "of_system_source"),
    [
        (*SETTLE, False, True),
        (*RESOLVE, True, False),
        (CommandKind.EXPIRE, Source.DEADLINES, True, True),
        (CommandKind.NETWORK_RESULT, Source.NETWORK, True, True),
        (CommandKind.CAPTURE, Source.API, False, False),
    ],
)
def test_where_the_two_differ(
    kind: CommandKind, source: Source, of_system_kind: bool, of_system_source: bool
) -> None:
    assert (kind in SYSTEM_COMMAND_KINDS, source in SYSTEM_SOURCES) == (
        of_system_kind,
        of_system_source,
    )
