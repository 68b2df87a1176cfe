"""Simulators in processes of their own, and a broker that no other test leaves records on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from simulator_process import Running, Start

from devstack.services.child import Child
from devstack.services.ports import free_port
from devstack.simulators.launch import simulator

CALM = {"latency_p50_ms": 0, "latency_p99_ms": 0, "faults": 0}


@pytest.fixture
def start_simulator(tmp_path: Path) -> Iterator[Start]:
    """`start_simulator("network", hold_seconds=2)`; the state directory is the test's own."""
    started: list[Running] = []

    def start(name: str, **settings: float) -> Running:
        port = free_port()
        state, log = tmp_path / name, tmp_path / f"{name}.out"
        child = Child(simulator(name, port, state, log, **{**CALM, **settings}))
        running = Running(child, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=10))
        started.append(running)
        child.wait_ready()
        return running

    yield start
    for running in started:
        running.http.close()
        running.kill()
