"""Services of the contract tests alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devstack.services import kafka, kafka_jars


@pytest.fixture(scope="session")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker on which no agent's test left unread records."""
    kafka_jars.fetch()
    cluster, children = kafka.start_in(tmp_path_factory.mktemp("own-kafka"))
    yield cluster.bootstrap_servers
    for child in children:
        child.kill_group()
