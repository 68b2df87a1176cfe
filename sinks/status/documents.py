"""The documents of a batch: the last view of each payment, the outcome of each command (pure)."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from schemas.enums import SYSTEM_SOURCES
from schemas.public_view import (
    View,
    is_idempotency_mismatch,
    is_unknown_payment,
    last_command,
    public_view,
)
from schemas.records import PaymentEvent, Rejection
from schemas.status_keys import command_key, payment_key
from schemas.topics import PAYMENTS_COMMANDS


class Document(NamedTuple):
    """A value for Valkey; `sequence` decides which of two is newer."""

    key: str
    sequence: int
    text: bytes


def views(events: Iterable[PaymentEvent], stored: Mapping[str, bytes | None]) -> list[Document]:
    """The payments' views after the events (in order); `stored`: documents by key as they are now.

    An event that a stored view already contains changes nothing, so a replay is safe.
    """
    latest: dict[str, View] = {}
    changed: dict[str, None] = {}
    for event in events:
        if is_unknown_payment(event):
            continue
        key = payment_key(event.payment_id)
        previous = latest.get(key) or readable_view(stored.get(key))
        if previous is not None and previous["sequence"] >= event.sequence:
            continue
        latest[key] = public_view(event, previous)
        changed[key] = None
    return [_document(key, latest[key]) for key in changed]


def outcomes(events: Iterable[PaymentEvent]) -> list[Document]:
    """Outcomes of clients' commands: the newest event of each command.

    A command with another body under a used key has the id of the first one and gets no document:
    its sender finds the `fingerprint` of the first one.
    """
    latest: dict[str, View] = {}
    for event in events:
        if event.source in SYSTEM_SOURCES or is_idempotency_mismatch(event):
            continue
        latest[command_key(event.command_id)] = last_command(event) | {
            "payment_id": event.payment_id,
            "status": event.status,
            "fingerprint": event.fingerprint,
            "sequence": event.sequence,
        }
    return [_document(key, outcome) for key, outcome in latest.items()]


def refusals(rejections: Iterable[Rejection]) -> list[Document]:
    """Outcomes of the API's commands that were not accepted.

    A producer's record may name any command id, so that its rejection is nobody's outcome.
    """
    return [
        _document(
            command_key(each.command_id),
            {
                "id": each.command_id,
                "result": "rejected",
                "reason": each.reason,
                "payment_id": each.payment_id,
                "fingerprint": each.fingerprint,
                "sequence": 0,
            },
        )
        for each in rejections
        if each.topic == PAYMENTS_COMMANDS and each.command_id is not None
    ]


def readable_view(text: bytes | None) -> View | None:
    """A stored view; None also for anything else, which is then replaced."""
    try:
        view = None if text is None else msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    return view if view is not None and type(view.get("sequence")) is int else None


def _document(key: str, content: Mapping[str, Any]) -> Document:
    return Document(key, content["sequence"], msgspec.json.encode(content))
