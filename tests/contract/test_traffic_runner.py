"""The traffic against a stand-in API: every promise kept, also with faults and a restart."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from fake_api import FakeApi
from simulator_process import Start

from devstack.services.ports import LOOPBACK, free_port
from devstack.traffic.accepted_log import ACCEPTED_LOG
from devstack.traffic.api_client import GaveUpError
from devstack.traffic.plan import plan
from devstack.traffic.runner import TrafficSettings, run
from devstack.traffic.scenarios import SCENARIOS
from devstack.traffic.stats import Tally

pytestmark = pytest.mark.services
PAYMENTS = 2 * len(SCENARIOS)


class Server:
    """A thread with an event loop in which the stand-in can be started and stopped."""

    def __init__(self) -> None:
        self.api = FakeApi(url=f"http://{LOOPBACK}:{free_port()}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None

    def up(self) -> None:
        asyncio.run_coroutine_threadsafe(self._up(), self._loop).result(10)

    def down(self) -> None:
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)

    def close(self) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _up(self) -> None:
        self._runner = web.AppRunner(self.api.application(), shutdown_timeout=0.1)
        await self._runner.setup()
        port = int(self.api.url.rsplit(":", 1)[1])
        await web.TCPSite(self._runner, LOOPBACK, port).start()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.up()
    yield running
    running.close()


Environment = Callable[..., dict[str, str]]


@pytest.fixture
def environment(server: Server, tmp_path: Path) -> Environment:
    def variables(**more: str) -> dict[str, str]:
        state_dir = str(tmp_path / "state")
        return {"API_URL": server.api.url, "PAYSTREAM_STATE_DIR": state_dir, **more}

    return variables


def settings(**more: float) -> TrafficSettings:
    return TrafficSettings(payments=PAYMENTS, **{"rate": 0, "merchants": 3, **more})


def accepted_lines(env: dict[str, str]) -> list[dict[str, str]]:
    text = (Path(env["PAYSTREAM_STATE_DIR"]) / ACCEPTED_LOG).read_text()
    return [json.loads(line) for line in text.splitlines()]


def expected(api: FakeApi) -> None:
    """Every payment has the end that its scenario says."""
    statuses = Counter(view["status"] for view in api.payments.values())
    assert sum(statuses.values()) == PAYMENTS
    assert set(statuses) == {"captured", "declined", "voided", "authorized"}
    wanted = Counter(intent.scenario for intent in plan(1, PAYMENTS, 3))
    assert statuses["voided"] == wanted["void"]
    assert statuses["authorized"] == wanted["not_captured"]


def test_every_scenario_is_played_to_its_end(server: Server, environment: Environment) -> None:
    env = environment()
    seen: list[int] = []

    def watch(tally: Tally) -> None:
        seen.append(tally.finished)

    result = run(env, settings(closes_payouts=True), watch)
    assert result.problems == []
    expected(server.api)
    assert seen[-1] == PAYMENTS
    assert set(result.scenarios) == {scenario.name for scenario in SCENARIOS}
    assert result.repeats_absorbed == result.repeats_sent > 0
    assert result.other_bodies_refused == result.refused_by_code["idempotency_mismatch"] > 0
    assert result.steps_refused == result.refused_by_code["amount_too_large"] > 0
    assert result.retries == result.gave_up == result.steps_not_reached == 0
    assert 0 < result.latency_p50_ms <= result.latency_p99_ms
    assert len(server.api.payouts) == 3
    json.dumps(result.as_dict())


def test_what_was_accepted_is_in_the_log(server: Server, environment: Environment) -> None:
    env = environment()
    result = run(env, settings())
    lines = accepted_lines(env)
    creates = {line["payment_id"] for line in lines if line["kind"] == "create"}
    assert creates == set(server.api.payments)
    steps = {line["command_id"] for line in lines if line["kind"] != "create"}
    assert steps == set(server.api.answers)
    assert len(lines) == result.accepted + result.repeats_absorbed


def test_faults_are_retried_with_the_same_key(server: Server, environment: Environment) -> None:
    server.api.fault_each = 7
    result = run(environment(), settings())
    assert result.problems == []
    assert result.retries > 5
    assert result.retries_absorbed > 0
    assert result.accepted == PAYMENTS + result.steps - result.steps_refused
    assert result.repeats_absorbed == result.repeats_sent
    expected(server.api)


def test_an_api_that_is_restarted_in_the_middle_loses_nothing(
    server: Server, environment: Environment
) -> None:
    def restart() -> None:
        server.down()
        time.sleep(0.3)
        server.up()

    timer = threading.Timer(0.5, restart)
    timer.start()
    result = run(environment(), settings(rate=40))
    timer.join()
    assert result.problems == []
    assert result.retries > 0
    expected(server.api)


def test_an_api_that_stays_away_is_an_error_with_a_sentence(
    server: Server, environment: Environment
) -> None:
    server.down()
    with pytest.raises(GaveUpError, match="is the API up"):
        run(environment(), settings(retry_seconds=0.3))


def test_the_receiver_gets_the_secrets(
    environment: Environment, start_simulator: Start, tmp_path: Path
) -> None:
    receiver = start_simulator("receiver")
    result = run(environment(RECEIVER_URL=str(receiver.http.base_url)), settings())
    assert result.problems == []
    told = (tmp_path / "receiver" / "receiver.log").read_text().splitlines()
    endpoints = [json.loads(line)["endpoint"] for line in told]
    assert [name.split("-")[0] for name in endpoints] == ["ok", "fail3", "ok"]


def test_fees_are_set_with_the_admin_token_only(server: Server, environment: Environment) -> None:
    run(environment(), settings())
    assert not any("fee_basis_points" in body for body in server.api.merchants.values())
    run(environment(ADMIN_TOKEN="admin-token"), settings())
    assert len([body for body in server.api.merchants.values() if "fee_basis_points" in body]) == 3
