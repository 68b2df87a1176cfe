"""`<state-dir>/traffic/accepted.ndjson`: what the API promised, for `paystream verify`.

A line is durable before the traffic goes on: `{"command_id", "payment_id", "kind", "merchant_id",
"at_ms"}`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from devstack.simulators.journal import Journal
from runtime.clock import now_ms
from schemas.ids import command_id

ACCEPTED_LOG = Path("traffic") / "accepted.ndjson"


class AcceptedLog:
    """Appends accepted commands; several runs share the file one after the other."""

    def __init__(self, state_dir: Path) -> None:
        self._journal = Journal(state_dir / ACCEPTED_LOG)

    async def note(self, payment_id: str, kind: str, idempotency_key: str, merchant: str) -> None:
        """Remember one acknowledged command; returns when the line is durable."""
        durable = self._journal.append(
            {
                "command_id": command_id(payment_id, kind, idempotency_key),
                "payment_id": payment_id,
                "kind": kind,
                "merchant_id": merchant,
                "at_ms": now_ms(),
            }
        )
        await asyncio.shield(durable)

    async def close(self) -> None:
        """Flush and close."""
        await self._journal.close()
