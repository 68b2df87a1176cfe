"""`tables_match_events`: the agent's table and the read copies are the fold of the events."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from paystream.verify.dataset import Dataset
from paystream.verify.result import Findings
from schemas.public_view import is_unknown_payment, public_view
from schemas.status_keys import PAYMENT_PREFIX
from streams.domain import PaymentState
from streams.domain.archive import ArchivedPayment, archive_stub
from streams.state_codec import ARCHIVED_TABLE, PAYMENTS_TABLE

PAYMENTS_CHANGELOG = "streams-payments-payments-changelog"
ARCHIVED_CHANGELOG = "streams-payments-archived-changelog"


def tables_match_events(dataset: Dataset, findings: Findings) -> None:
    """Changelogs of the payments tables, and payment status in Valkey, against the events."""
    archived = dataset.last_values(ARCHIVED_CHANGELOG)
    _changelog_is_fold(dataset, findings, archived.keys())
    _stubs_fit(dataset, findings, archived)
    _status_is_view(dataset, findings)


def _changelog_is_fold(dataset: Dataset, findings: Findings, archived: Collection[str]) -> None:
    values = dataset.last_values(PAYMENTS_CHANGELOG)
    for payment_id, state in dataset.states.items():
        stored = values.pop(payment_id, None)
        if stored is None:
            problem = "has events and no entry in the changelog"
            findings.expect(payment_id in archived, payment_id, problem)
            continue
        findings.expect(payment_id not in archived, payment_id, "is in the table and archived")
        try:
            found = PAYMENTS_TABLE["decode"](stored)
        except msgspec.MsgspecError as error:
            findings.expect(False, payment_id, f"changelog entry cannot be decoded: {error}")
            continue
        problem = f"changelog differs from the events in {_fields_that_differ(found, state)}"
        findings.expect(found == state, payment_id, problem)
    for key in values:
        findings.expect(False, key, "is in the changelog and has no event")


def _stubs_fit(dataset: Dataset, findings: Findings, archived: Mapping[str, bytes]) -> None:
    """What stayed of archived payments is what their events lead to."""
    for payment_id, stored in archived.items():
        state = dataset.states.get(payment_id)
        if state is None:
            findings.expect(False, payment_id, "is archived and has no event")
            continue
        try:
            fits = _fits(ARCHIVED_TABLE["decode"](stored), state)
        except msgspec.MsgspecError as error:
            findings.expect(False, payment_id, f"archive stub cannot be decoded: {error}")
            continue
        findings.expect(fits, payment_id, "the archive stub differs from the events")


def _fits(stub: ArchivedPayment, state: PaymentState) -> bool:
    wanted = archive_stub(state)
    return (stub.sequence, stub.status, stub.digest) == (
        wanted.sequence,
        wanted.status,
        wanted.digest,
    )


def _fields_that_differ(found: msgspec.Struct, wanted: msgspec.Struct) -> str:
    names = [n for n in wanted.__struct_fields__ if getattr(found, n) != getattr(wanted, n)]
    return ", ".join(names)


def _views(dataset: Dataset) -> dict[str, Mapping[str, Any]]:
    views: dict[str, Mapping[str, Any]] = {}
    for event in dataset.all_events():
        if not is_unknown_payment(event):
            views[event.payment_id] = public_view(event, views.get(event.payment_id))
    return views


def _status_is_view(dataset: Dataset, findings: Findings) -> None:
    views = _views(dataset)
    for key, value in dataset.sources.cache_entries(f"{PAYMENT_PREFIX}*"):
        payment_id = key.removeprefix(PAYMENT_PREFIX)
        wanted = views.pop(payment_id, None)
        if wanted is None:
            findings.expect(False, payment_id, "is in Valkey and has no event")
            continue
        found = json.loads(value)
        differs = [name for name in wanted if found.get(name) != wanted[name]]
        problem = f"Valkey differs from the events in {', '.join(differs)}"
        findings.expect(not differs, payment_id, f"{problem} (`paystream rebuild status` fixes it)")
    for payment_id in views:
        problem = "is not in Valkey (`paystream rebuild status` fixes it)"
        findings.expect(False, payment_id, problem)
