"""What is asked of the machine itself: loopback ports, and the doctor's whole visit."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from devstack import doctor
from devstack.services.ports import LOOPBACK, PortBook, accepts, is_free

pytestmark = pytest.mark.services


def test_ports_are_kept_over_restarts_and_differ(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    claimed = {name: book.claim(name) for name in ("api", "console", "kafka-1")}
    assert len(set(claimed.values())) == 3
    again = PortBook(tmp_path / "ports.json")
    assert {name: again.claim(name) for name in claimed} == claimed


def test_a_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    port = PortBook(tmp_path / "ports.json").claim("api")
    with socket.create_server((LOOPBACK, port)):
        assert accepts(port)
        assert not is_free(port)
        other = PortBook(tmp_path / "ports.json").claim("api")
    assert other != port
    assert PortBook(tmp_path / "ports.json").claim("api") == other


def test_every_finding_of_the_doctor_is_one_line(tmp_path: Path) -> None:
    checks = doctor.run(tmp_path)
    assert len({check.name for check in checks}) == len(checks) >= 8
    assert all(check.finding and "\n" not in check.finding for check in checks)
