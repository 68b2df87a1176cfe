"""`tables_match_events`: the agent's table and the read copies are the fold of the events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from devstack.verify.evidence import Evidence
from devstack.verify.result import Findings
from schemas.public_view import is_about_nothing, public_view
from streams.state_codec import decode_state

PAYMENTS_CHANGELOG = "streams-payments-payments-changelog"
STATUS_PREFIX = "payment:"


def tables_match_events(evidence: Evidence, findings: Findings) -> None:
    """Changelog of the payments table, and payment status in Valkey, both against the events."""
    _changelog_is_fold(evidence, findings)
    _status_is_view(evidence, findings)


def _changelog_is_fold(evidence: Evidence, findings: Findings) -> None:
    values = evidence.last_values(PAYMENTS_CHANGELOG)
    for payment_id, state in evidence.states.items():
        stored = values.pop(payment_id, None)
        if stored is None:
            findings.expect(False, payment_id, "has events and no entry in the changelog")
            continue
        try:
            found = decode_state(stored)
        except msgspec.MsgspecError as error:
            findings.expect(False, payment_id, f"changelog entry cannot be decoded: {error}")
            continue
        problem = f"changelog differs from the events in {_fields_that_differ(found, state)}"
        findings.expect(found == state, payment_id, problem)
    for key in values:
        findings.expect(False, key, "is in the changelog and has no event")


def _fields_that_differ(found: msgspec.Struct, wanted: msgspec.Struct) -> str:
    names = [n for n in wanted.__struct_fields__ if getattr(found, n) != getattr(wanted, n)]
    return ", ".join(names)


def _views(evidence: Evidence) -> dict[str, Mapping[str, Any]]:
    views: dict[str, Mapping[str, Any]] = {}
    for event in evidence.all_events():
        if not is_about_nothing(event):
            views[event.payment_id] = public_view(event, views.get(event.payment_id))
    return views


def _status_is_view(evidence: Evidence, findings: Findings) -> None:
    views = _views(evidence)
    for key, value in evidence.sources.cache_entries(f"{STATUS_PREFIX}*"):
        payment_id = key.removeprefix(STATUS_PREFIX)
        wanted = views.pop(payment_id, None)
        if wanted is None:
            findings.expect(False, payment_id, "is in Valkey and has no event")
            continue
        found = json.loads(value)
        differs = [name for name in wanted if found.get(name) != wanted[name]]
        problem = f"Valkey differs from the events in {', '.join(differs)}"
        findings.expect(not differs, payment_id, f"{problem} (`paystream rebuild status` mends it)")
    for payment_id in views:
        problem = "is not in Valkey (`paystream rebuild status` mends it)"
        findings.expect(False, payment_id, problem)
