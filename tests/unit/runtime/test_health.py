"""Where a worker's health server listens, and what it says when it cannot."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from runtime.health import HealthServer, PortTaken
from workers.main import run


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.2", "127.0.0.2"), ("::1", "[::1]")])
def test_it_listens_on_the_address_that_was_given(host: str, shown: str) -> None:
    server = HealthServer(0, ready=lambda: True, host=host).start()
    try:
        assert urlopen(f"http://{shown}:{server.port}/readyz", timeout=5).status == 200
    finally:
        server.stop()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PortTaken, match=r"cannot listen on 192\.0\.2\.1, port 0"):
        HealthServer(0, ready=lambda: True, host="192.0.2.1")


def test_a_taken_port_ends_a_worker_with_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "HEALTH_PORT": str(port),
            "PAYSTREAM_STATE_DIR": str(tmp_path),
        }
        assert run("merchants", "0", env) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in said
