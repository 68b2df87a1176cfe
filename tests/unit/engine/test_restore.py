"""When a restore ends a hanging transaction."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.settings import EngineSettings
from engine.state import restore
from engine.state.restore import StateRestorer
from engine.transactions.hanging_transactions import UNSTABLE_SECONDS_MARGIN

SOURCES = [("in", 0)]
LIMIT = EngineSettings().transaction_timeout_seconds + UNSTABLE_SECONDS_MARGIN


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`now` is what the restore takes for the time."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(restore, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose transactions were ended."""
    found: list[str] = []

    def abort_hanging_transaction(config: Any, owner: str, sources: Any) -> bool:
        assert sources == SOURCES
        found.append(owner)
        return True

    monkeypatch.setattr(restore, "abort_hanging_transaction", abort_hanging_transaction)
    return found


def test_only_what_is_unstable_longer_than_a_transaction_may_last_is_ended(
    clock: SimpleNamespace, ended: list[str]
) -> None:
    config: Any = SimpleNamespace(settings=EngineSettings(), transactional_id="app-0")
    made = StateRestorer(config, None, [], SOURCES)
    made._abort_hanging({"app-1"})
    clock.now += LIMIT
    made._abort_hanging({"app-1"})
    assert ended == []
    clock.now += 1
    made._abort_hanging({"app-1"})
    assert ended == ["app-0", "app-1"]
    clock.now += LIMIT
    made._abort_hanging({"app-1"})
    assert ended == ["app-0", "app-1"], "what is still unstable gets as long again"
