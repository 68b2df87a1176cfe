"""Which dead letters come back by `payments.replays`, and to whom.

A topic that one app reads gets its record itself again, where its access list protects it. A replay
counts only for topics that several apps read: who may write replays must not speak for the card
network, or for people.
"""

from engine import RawRecord, Replay
from runtime.dead_letters import source_headers, source_key
from schemas.codec import decode
from schemas.records import DeadLetter
from schemas.topics import MERCHANTS, PAYMENTS_REPLAYS, TOPICS
from workers.catalogue import WORKERS

_WITHOUT_LETTERS = {PAYMENTS_REPLAYS, MERCHANTS}
"""Who reads these makes no dead letters of them."""


def reading_apps(topic: str) -> set[str]:
    """Groups of the workers that read the topic."""
    return {worker.group for worker in WORKERS.values()} & set(TOPICS[topic].readers)


def comes_back_by_replay(topic: str, group: str) -> bool:
    """Whether a letter of this group about the topic goes by `payments.replays`."""
    return topic in TOPICS and topic not in _WITHOUT_LETTERS and reading_apps(topic) > {group}


def takes_replays(group: str) -> bool:
    """Whether the group reads some topic together with others."""
    return any(comes_back_by_replay(topic, group) for topic in TOPICS)


def decode_replay(value: bytes | None) -> Replay:
    """A dead letter that goes back to its app. Raises UndecodableRecord, ValueError."""
    letter = decode(DeadLetter, value)
    if not comes_back_by_replay(letter.topic, letter.source_app):
        raise ValueError(f"A letter of {letter.source_app} about {letter.topic} is no replay.")
    if letter.omitted_bytes is not None:
        raise ValueError("The letter points at its record. A replay has the record.")
    record = RawRecord(
        letter.topic,
        letter.partition,
        letter.offset,
        source_key(letter),
        source_headers(letter),
        letter.value,
    )
    return Replay(letter.source_app, record)
