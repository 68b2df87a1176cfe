"""The topic files list exactly the topics that each worker, the API and the command line write."""

import ast
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from topics_written import Program, source_of, topic_named

from schemas.topics import (
    LEDGER_CHECKPOINTS,
    PAYMENTS_EVENTS,
    PAYOUTS_EVENTS,
    TOPICS,
    Topic,
)
from workers.catalogue import WORKERS

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = {worker.group: worker.builder for worker in WORKERS.values()} | {
    "ingest_api": "ingest_api.http.app:build_app",
    "CLI": "paystream.operations.breaks:move",
    "operators": "paystream.operations.payment_commands:send_operator_command"
    " paystream.operations.dead_letters:replay",
}
"""Writer in the topic files -> where its program starts, or its programs."""
PRODUCERS = "producers"
"""Merchants' own programs."""
EVERY_WORKER = "every agent"
GROUPS = {worker.group for worker in WORKERS.values()}


def listed(writer: str, files: Iterable[Topic] = TOPICS.values()) -> set[str]:
    """Topics whose file names the writer; a note in brackets says for what it writes."""
    names = {writer} | ({EVERY_WORKER} if writer in GROUPS else set())
    return {
        topic.name for topic in files if names & {each.partition(" (")[0] for each in topic.writers}
    }


@pytest.mark.parametrize("writer", PROGRAMS)
def test_the_topic_files_list_what_the_program_writes(writer: str) -> None:
    assert Program(PROGRAMS[writer]).topics == listed(writer)


def test_every_writer_in_the_files_is_a_known_one() -> None:
    writers = {each.partition(" (")[0] for topic in TOPICS.values() for each in topic.writers}
    assert writers <= PROGRAMS.keys() | {PRODUCERS, EVERY_WORKER}


def test_every_send_names_its_topic_where_it_is_found() -> None:
    """By its constant, or with the message of `to_message`, or as the topic of such a message."""
    unclear = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for room in ("streams", "sinks", "workers")
        for path in sorted((ROOT / room).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and is_send(call) and not names_its_topic(call.args)
    ]
    assert unclear == []


def is_send(call: ast.Call) -> bool:
    """`_send` is what a part was given to write with; `send` is a method of HTTP clients."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in {"emit", "produce", "_send"}


def names_its_topic(arguments: list[ast.expr]) -> bool:
    first = arguments[0]
    if isinstance(first, ast.Attribute):
        return first.attr == "topic" or topic_named(first) is not None
    return isinstance(first, ast.Starred) or topic_named(first) is not None


@pytest.mark.parametrize("writer", PROGRAMS)
@pytest.mark.parametrize(
    ("planted", "topic"),
    [
        ("batch.emit(PAYOUTS_EVENTS, key, value)", PAYOUTS_EVENTS),
        ("await app.produce(topic='ledger.checkpoints', key=key)", LEDGER_CHECKPOINTS),
        (
            "from schemas.envelopes import to_message\n"
            "    from schemas.records import PaymentEvent\n"
            "    batch.emit(*to_message(PaymentEvent(**fields), GROUP))",
            PAYMENTS_EVENTS,
        ),
    ],
)
def test_an_added_write_is_found(writer: str, planted: str, topic: str) -> None:
    module, function = PROGRAMS[writer].split()[0].split(":")

    def with_planted(name: str) -> str | None:
        source = source_of(name)
        if name != module or source is None:
            return source
        return f"{source}\n\nasync def planted():\n    {planted}\n\n{function}.also = planted\n"

    assert topic in Program(PROGRAMS[writer], with_planted).topics


def test_a_removed_write_is_found() -> None:
    def without_checkpoints(name: str) -> str | None:
        source = source_of(name)
        return None if source is None else source.replace("LEDGER_CHECKPOINTS, key", "topic, key")

    written = Program(PROGRAMS["sinks-audit"], without_checkpoints).topics
    assert listed("sinks-audit") - written == {LEDGER_CHECKPOINTS}


@pytest.mark.parametrize("writer", PROGRAMS)
def test_a_writer_that_a_file_forgets_is_found(writer: str) -> None:
    written = Program(PROGRAMS[writer]).topics
    for topic in written:
        file = msgspec.structs.replace(TOPICS[topic], writers=[PRODUCERS])
        assert written - listed(writer, (TOPICS | {topic: file}).values()) == {topic}
