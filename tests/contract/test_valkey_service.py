"""The embedded Valkey remembers what it acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from devstack.services import valkey
from devstack.services.child import Child
from devstack.services.ports import free_port

pytestmark = pytest.mark.services


def test_keys_survive_a_kill(tmp_path: Path) -> None:
    launch = valkey.launch(tmp_path, port := free_port(), tmp_path)
    for attempt in range(2):
        child = Child(launch)
        child.wait_ready()
        client = Redis.from_url(valkey.url(port))
        if attempt == 0:
            assert client.set("status:pay_1", "captured")
        else:
            assert client.get("status:pay_1") == b"captured"
        client.close()
        child.kill_group()


def test_it_listens_on_loopback_only(valkey_url: str) -> None:
    with Redis.from_url(valkey_url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
