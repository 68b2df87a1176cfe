"""Seeded strays: records that no worker can take, of every kind, for every topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import msgspec

from runtime.clock import now_ms
from schemas import ids
from schemas.codec import NEWER_IDS_MAX, encode
from schemas.payment_commands import CLIENT_COMMAND_KINDS, command_fingerprint
from schemas.records import PaymentCommand, PayoutItem
from schemas.registry import contracts
from schemas.topics import (
    CLIENT_COMMAND_TOPICS,
    MERCHANTS,
    PAYMENTS_DEAD_LETTERS,
    PAYMENTS_EVENTS,
    PAYMENTS_REJECTIONS,
    PAYMENTS_REPLAYS,
    TOPICS,
)
from workers.catalogue import WORKERS

GROUPS = {worker.group for worker in WORKERS.values()}
SKIPPED_BY_READERS = {MERCHANTS, PAYMENTS_REPLAYS}
"""Strays there are nobody's: a follower counts them, and no worker takes a replay of nobody."""
FEW = {PAYMENTS_EVENTS, PAYMENTS_DEAD_LETTERS, PAYMENTS_REJECTIONS}
"""The ledger sink searches for each stray there by halves of a batch."""
LARGE_EVERY = 50
"""One in so many strays is large: a gigabyte of them would measure the disk."""


class Stray(NamedTuple):
    """A record, as `Producer.produce` takes it."""

    kind: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    partition: int


def readers_of(topic: str) -> set[str]:
    """Groups that read the topic, and so have to deal with a stray in it."""
    if topic in SKIPPED_BY_READERS:
        return set()
    return GROUPS & set(TOPICS[topic].readers)


def stray_topics() -> list[str]:
    """Topics that a worker reads; those of few strays once, the others five times."""
    read = [name for name in TOPICS if readers_of(name) or name in SKIPPED_BY_READERS]
    return [name for name in read for _ in range(1 if name in FEW else 5)]


def strays(seed: int, count: int) -> Iterator[Stray]:
    """`count` strays; the same ones for the same seed, but for the time in commands."""
    random = Random(seed)
    topics = stray_topics()
    for number in range(count):
        topic = random.choice(topics)
        kinds = {**VALUES, **(CLIENT_VALUES if topic in CLIENT_COMMAND_TOPICS else {})}
        kind = random.choice(sorted(kinds))
        value = kinds[kind](random)
        if number % LARGE_EVERY == 0 and value is not None:
            kind, value = (
                f"large {kind}",
                _garbage(random.randbytes(random.randint(2, 9) * 100_000)),
            )
        key = random.choice(KEYS)(random)
        if TOPICS[topic].cleanup_policy == "compact":
            key = key if key is not None else random.randbytes(8)  # the broker refuses no key there
            value = None if value is None else _garbage(value)
        headers = random.choice(HEADERS)(random)
        partition = random.randrange(TOPICS[topic].partitions)
        yield Stray(kind, topic, key, value, headers, partition)


def _garbage(rest: bytes) -> bytes:
    """In nobody's format."""
    return b"\xfe" + rest


def _truncated(random: Random) -> bytes:
    whole = encode(_item())
    return whole[: random.randrange(len(whole))]


def _unknown_id(random: Random) -> bytes:
    """Far behind those of this release: a little behind it is a newer release's."""
    first = max(contracts()) + NEWER_IDS_MAX + 1
    return b"\x00" + random.randint(first, 2**32 - 1).to_bytes(4, "big") + random.randbytes(30)


def _known_id(random: Random) -> bytes:
    return b"\x00" + random.choice(sorted(contracts())).to_bytes(4, "big") + b"\xff" * 20


def _item() -> PayoutItem:
    return PayoutItem(
        item_id="stray",
        merchant_id="mer_stray",
        mode="test",
        currency="EUR",
        amount_minor=1,
        kind="capture",
        payment_id="pay_stray",
        occurred_at_ms=1,
    )


VALUES: dict[str, Callable[[Random], bytes | None]] = {
    "tombstone": lambda _: None,
    "empty": lambda _: b"",
    "text": lambda random: f'{{"amount": {random.randrange(10**6)}}}'.encode(),
    "noise": lambda random: _garbage(random.randbytes(random.randrange(200))),
    "truncated": _truncated,
    "left over": lambda random: encode(_item()) + random.randbytes(3),
    "unknown schema": _unknown_id,
    "known schema, other content": _known_id,
}


def _command(**changes: Any) -> PaymentCommand:
    key = f"stray-{ids.fingerprint({'changes': str(changes)})}"
    fields: dict[str, Any] = {
        "command_id": "cmd_stray",
        "payment_id": ids.payment_id("mer_stray", "test", key),
        "merchant_id": "mer_stray",
        "mode": "test",
        "kind": "create",
        "fingerprint": "",
        "issued_at_ms": now_ms(),
        "source": "api",
        "amount_minor": 100,
        "currency": "EUR",
        "idempotency_key": key,
    }
    command = PaymentCommand(**(fields | changes))
    if command.kind not in CLIENT_COMMAND_KINDS:
        return command
    return msgspec.structs.replace(command, fingerprint=command_fingerprint(command))


CLIENT_VALUES: dict[str, Callable[[Random], bytes | None]] = {
    "unknown merchant": lambda _: encode(_command()),
    "time in microseconds": lambda _: encode(_command(issued_at_ms=now_ms() * 1000)),
    "time in seconds": lambda _: encode(_command(issued_at_ms=now_ms() // 1000)),
    "kind of the network": lambda _: encode(_command(kind="settle")),
    "source of others": lambda _: encode(_command(source="operator")),
    "amount below zero": lambda _: encode(_command(amount_minor=-5)),
}
KEYS: list[Callable[[Random], bytes | None]] = [
    lambda _: None,
    lambda _: b"",
    lambda random: b"\x80\xff" + random.randbytes(6),
    lambda random: f"pay_{random.randrange(10**9)}".encode(),
    lambda random: random.randbytes(2_000),
]
HEADERS: list[Callable[[Random], list[tuple[str, bytes | None]]]] = [
    lambda _: [],
    lambda random: [("traceparent", random.randbytes(55))],
    lambda _: [("traceparent", b"00-zz-\r\nx: y")],
    lambda random: [("ce_id", None), ("ce_id", random.randbytes(4)), ("", b"")],
    lambda random: [(f"h{number}", random.randbytes(3)) for number in range(2_000)],
    lambda random: [("huge", random.randbytes(50_000))],
]
