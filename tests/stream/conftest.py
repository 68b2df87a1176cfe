"""Fixtures of tests against a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stream.engine_harness import Scenario


@pytest.fixture
def scenario(kafka_broker: str, tmp_path: Path) -> Iterator[Scenario]:
    """Topics and workers of one test; workers end with it."""
    made = Scenario(kafka_broker, tmp_path)
    yield made
    made.stop()
