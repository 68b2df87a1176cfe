"""Each topic of payment commands has one writer and its own kinds; each kind has its source."""

from __future__ import annotations

import pytest

from schemas.enums import ArchiveCommandKind, CommandKind, Source
from schemas.payment_commands import CLIENT_COMMAND_KINDS
from schemas.topics import CLIENT_COMMAND_TOPICS, PAYMENT_COMMAND_TOPICS, TOPICS

COMMANDS = [topic for topic in TOPICS.values() if topic.record == "PaymentCommand"]


def test_every_topic_of_commands_is_in_the_order_of_decision() -> None:
    assert {topic.name for topic in COMMANDS} == set(PAYMENT_COMMAND_TOPICS)


@pytest.mark.parametrize("topic", COMMANDS, ids=lambda topic: topic.name)
def test_a_topic_has_one_writer_and_known_kinds(topic: object) -> None:
    assert len(topic.writers) == 1  # type: ignore[attr-defined] # a Topic
    assert set(topic.commands) <= {*CommandKind, *ArchiveCommandKind}  # type: ignore[attr-defined] # a Topic
    assert set(topic.commands.values()) <= set(Source)  # type: ignore[attr-defined] # a Topic


def test_every_kind_is_accepted_somewhere() -> None:
    accepted = {kind for topic in COMMANDS for kind in topic.commands}
    assert accepted == {*CommandKind, *ArchiveCommandKind}


@pytest.mark.parametrize("name", sorted(CLIENT_COMMAND_TOPICS))
def test_clients_say_only_what_clients_may_say(name: str) -> None:
    assert set(TOPICS[name].commands) == CLIENT_COMMAND_KINDS
