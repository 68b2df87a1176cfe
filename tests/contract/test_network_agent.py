"""The network agent against a server that answers by script, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import REGISTRY

from engine import Retry
from runtime.clock import now_ms
from schemas.enums import Source
from schemas.network_results import result_command
from schemas.records import NetworkRequest
from streams.agents.network import NetworkCallHandler, requested_operation
from streams.agents.network_client import NetworkClient
from streams.settings import NetworkSettings

pytestmark = pytest.mark.services
QUICK = NetworkSettings(
    timeout_seconds=0.3,
    attempts_max=3,
    backoff_seconds=0.01,
    breaker_window_calls=100,
    not_found_timeout_seconds=60,
)
APPROVED = {"outcome": "approved", "network_reference": "net_1"}
SILENCE = "silence"
PRIMARY = "primary"
Answer = int | str | dict[str, Any]


class ScriptedNetwork:
    """Answers each POST and GET by the next line of its script; the last line stays."""

    def __init__(self) -> None:
        self.posts: list[Answer] = [APPROVED]
        self.gets: list[Answer] = [404]
        self.bodies: list[dict[str, Any]] = []
        self.asked: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [web.post("/v1/operations", self._post), web.get("/v1/operations/{key}", self._get)]
        )
        return app

    async def _post(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return await self._answer(self.posts)

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["key"])
        return await self._answer(self.gets)

    @staticmethod
    async def _answer(script: list[Answer]) -> web.Response:
        line = script.pop(0) if len(script) > 1 else script[0]
        if line == SILENCE:
            await asyncio.sleep(1)
        if isinstance(line, int):
            return web.json_response({"code": "scripted"}, status=line)
        if isinstance(line, dict):
            return web.json_response(line, status=503 if line == NOT_PROCESSED else 200)
        return web.Response(text=line)


@pytest.fixture
def network() -> ScriptedNetwork:
    return ScriptedNetwork()


@pytest.fixture
async def url(network: ScriptedNetwork) -> AsyncIterator[str]:
    async with TestServer(network.app()) as server:
        yield str(server.make_url("/"))


@pytest.fixture
async def agent(url: str) -> AsyncIterator[NetworkCallHandler]:
    client = NetworkClient(url, QUICK.timeout_seconds, 10)
    yield NetworkCallHandler({PRIMARY: client}, QUICK)
    await client.close()


def request(operation: str = "capture", **changes: Any) -> NetworkRequest:
    fields = {
        "request_id": "pay_1:capture:1#1",
        "payment_id": "pay_1",
        "merchant_id": "mer_1",
        "mode": "test",
        "operation": operation,
        "operation_id": f"pay_1:{changes.get('subject_operation', operation)}:1",
        "attempt": 1,
        "amount_minor": 500,
        "currency": "EUR",
        "requested_at_ms": now_ms(),
        "command_id": "cmd_1",
        "network_reference": "net_1",
    }
    return NetworkRequest(**{**fields, **changes})


def question(subject: str, **changes: Any) -> NetworkRequest:
    return request("status", subject_operation=subject, attempt=2, **changes)


@pytest.mark.parametrize("trouble", [500, 503, 429, 401, SILENCE, "no json", {"outcome": "maybe"}])
async def test_trouble_is_tried_again_with_the_same_key_and_body(
    network: ScriptedNetwork, agent: NetworkCallHandler, trouble: Answer
) -> None:
    network.posts = [trouble, trouble, APPROVED]
    answer = await agent.resolve_outcome(request())
    assert (answer.outcome, answer.network_reference) == ("approved", "net_1")
    assert len(network.bodies) == 3
    assert all(body == network.bodies[0] for body in network.bodies)
    assert network.bodies[0]["idempotency_key"] == "pay_1:capture:1"


async def test_after_the_last_try_the_status_is_asked_for(
    network: ScriptedNetwork, agent: NetworkCallHandler
) -> None:
    network.posts, network.gets = [SILENCE], [APPROVED]
    assert (await agent.resolve_outcome(request())).outcome == "approved"
    assert (len(network.bodies), network.asked) == (3, ["pay_1:capture:1"])


@pytest.mark.parametrize("status", [404, 500, SILENCE])
async def test_without_any_word_the_outcome_is_unknown_never_failed(
    network: ScriptedNetwork, agent: NetworkCallHandler, status: Answer
) -> None:
    network.posts, network.gets = [SILENCE], [status]
    assert (await agent.resolve_outcome(request())).outcome == "unknown"


@pytest.mark.parametrize(
    ("status", "outcome"), [(404, "failed"), (APPROVED, "approved"), (500, "unknown")]
)
async def test_a_refusal_counts_if_no_other_copy_was_seen(
    network: ScriptedNetwork, agent: NetworkCallHandler, status: Answer, outcome: str
) -> None:
    network.posts, network.gets = [422], [status]
    assert (await agent.resolve_outcome(request())).outcome == outcome
    assert len(network.bodies) == 1


async def test_declines_get_one_of_our_codes(
    network: ScriptedNetwork, agent: NetworkCallHandler
) -> None:
    network.posts = [{"outcome": "declined", "decline_code": "expired_card"}]
    assert (await agent.resolve_outcome(request("authorize"))).decline_code == "expired_card"
    network.posts = [{"outcome": "declined", "decline_code": "moon_phase"}]
    answer = await agent.resolve_outcome(request("authorize"))
    assert (answer.decline_code, answer.reason) == ("generic_decline", "moon_phase")


async def test_a_status_is_asked_and_believed(
    network: ScriptedNetwork, agent: NetworkCallHandler
) -> None:
    network.gets = [503, APPROVED]
    assert (await agent.resolve_outcome(question("authorize"))).outcome == "approved"
    assert network.bodies == []


async def test_a_capture_that_was_never_seen_is_asked_for_again_with_the_first_body(
    network: ScriptedNetwork, agent: NetworkCallHandler
) -> None:
    await agent.resolve_outcome(request())
    answer = await agent.resolve_outcome(question("capture"))
    assert answer.outcome == "approved"
    assert network.bodies[0] == network.bodies[1]


async def test_an_authorization_is_given_up_only_long_after_it_was_asked_for(
    network: ScriptedNetwork, agent: NetworkCallHandler
) -> None:
    early = await agent.resolve_outcome(
        question("authorize", first_requested_at_ms=now_ms() - 50_000)
    )
    late = await agent.resolve_outcome(
        question("authorize", first_requested_at_ms=now_ms() - 61_000)
    )
    assert (early.outcome, late.outcome) == ("unknown", "failed")
    assert network.bodies == []


async def test_an_open_breaker_sends_nothing_and_asks_for_a_retry(
    network: ScriptedNetwork, url: str
) -> None:
    settings = NetworkSettings(
        timeout_seconds=0.3,
        attempts_max=1,
        backoff_seconds=0.01,
        breaker_window_calls=4,
        breaker_open_seconds=0.3,
    )
    client = NetworkClient(url, settings.timeout_seconds, 10)
    agent = NetworkCallHandler({PRIMARY: client}, settings)
    network.posts = network.gets = [500]
    for _ in range(2):
        assert (await agent.resolve_outcome(request())).outcome == "unknown"
    with pytest.raises(Retry) as open_breaker:
        await agent.resolve_outcome(request())
    calls = len(network.bodies) + len(network.asked)
    assert 0 < open_breaker.value.seconds <= 0.3
    network.posts = [APPROVED]
    await asyncio.sleep(open_breaker.value.seconds + 0.01)
    assert (await agent.resolve_outcome(request())).outcome == "approved"
    assert (calls, len(network.bodies) + len(network.asked)) == (4, 5)
    await client.close()


async def test_a_network_that_is_not_there_leaves_the_outcome_unknown(unused_tcp_port: int) -> None:
    client = NetworkClient(f"http://127.0.0.1:{unused_tcp_port}", 0.3, 10)
    agent = NetworkCallHandler({PRIMARY: client}, QUICK)
    assert (await agent.resolve_outcome(request())).outcome == "unknown"
    await client.close()


async def test_the_same_outcome_is_the_same_command_whenever_it_is_reported(
    agent: NetworkCallHandler,
) -> None:
    answer = await agent.resolve_outcome(request())
    first, second = (
        result_command(requested_operation(request()), answer, at_ms, source=Source.NETWORK)
        for at_ms in (1, 2)
    )
    assert (first.command_id, first.fingerprint) == (second.command_id, second.fingerprint)
    assert (first.kind, first.operation_id, first.attempt) == (
        "network_result",
        "pay_1:capture:1",
        1,
    )


NOT_PROCESSED = {"error": "unavailable", "processed": False}


@pytest.fixture
def fallback() -> ScriptedNetwork:
    return ScriptedNetwork()


@pytest.fixture
async def both(url: str, fallback: ScriptedNetwork) -> AsyncIterator[dict[str, NetworkClient]]:
    async with TestServer(fallback.app()) as server:
        urls = {PRIMARY: url, "fallback": str(server.make_url("/"))}
        clients = {name: NetworkClient(at, QUICK.timeout_seconds, 10) for name, at in urls.items()}
        yield clients
        for client in clients.values():
            await client.close()


def authorization(**changes: Any) -> NetworkRequest:
    fields = {"operation": "authorize", "card": "jwe", "network_reference": None}
    return request(**{**fields, **changes})


async def test_an_authorization_that_was_surely_not_taken_may_go_elsewhere(
    network: ScriptedNetwork, both: dict[str, NetworkClient], fallback: ScriptedNetwork
) -> None:
    """The agent only says so: the domain asks the fallback, under another key."""
    network.posts = [NOT_PROCESSED]
    answer = await NetworkCallHandler(both, QUICK).resolve_outcome(authorization(), new=True)
    assert (answer.outcome, answer.reason) == ("not_processed", "HTTP 503: not processed")
    assert len(network.bodies) == QUICK.attempts_max
    assert (network.asked, fallback.bodies) == ([], [])


async def test_no_connection_and_an_open_breaker_are_sure_as_well(
    both: dict[str, NetworkClient], unused_tcp_port: int, fallback: ScriptedNetwork
) -> None:
    gone = NetworkClient(f"http://127.0.0.1:{unused_tcp_port}", 0.3, 10)
    settings = NetworkSettings(
        timeout_seconds=0.3, attempts_max=2, backoff_seconds=0.01, breaker_window_calls=2
    )
    agent = NetworkCallHandler({**both, PRIMARY: gone}, settings)
    refused = await agent.resolve_outcome(authorization(), new=True)
    shut = await agent.resolve_outcome(authorization(operation_id="pay_2:authorize:1"), new=True)
    assert (refused.outcome, shut.outcome) == ("not_processed", "not_processed")
    assert shut.reason == "the circuit breaker is open"
    with pytest.raises(Retry):
        await agent.resolve_outcome(request(), new=True)
    moved = await agent.resolve_outcome(authorization(network="fallback"), new=True)
    assert (moved.outcome, len(fallback.bodies)) == ("approved", 1)
    await gone.close()


@pytest.mark.parametrize(
    ("posts", "changes", "new"),
    [
        ([SILENCE, NOT_PROCESSED], {}, True),
        ([500, NOT_PROCESSED], {}, True),
        ([503], {}, True),
        ([NOT_PROCESSED], {}, False),
        ([NOT_PROCESSED], {"card": None}, True),
        ([NOT_PROCESSED], {"operation": "capture"}, True),
        ([NOT_PROCESSED], {"network": "fallback"}, True),
    ],
)
async def test_whatever_may_have_been_taken_stays_where_it_is(
    network: ScriptedNetwork,
    fallback: ScriptedNetwork,
    both: dict[str, NetworkClient],
    posts: list[Answer],
    changes: dict[str, Any],
    new: bool,
) -> None:
    """One try without a clear no, another owner before, no card, or no authorization at all."""
    network.posts, fallback.posts = list(posts), list(posts)
    asked = authorization(**{"operation_id": "pay_1:authorize:1", **changes})
    answer = await NetworkCallHandler(both, QUICK).resolve_outcome(asked, new=new)
    assert answer.outcome == "unknown"
    assert bool(fallback.bodies) == (changes.get("network") == "fallback")


async def test_a_call_that_was_broken_off_may_have_reached_the_network(
    network: ScriptedNetwork, both: dict[str, NetworkClient]
) -> None:
    agent = NetworkCallHandler(both, QUICK)
    network.posts = [SILENCE]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await agent.resolve_outcome(authorization(), new=True)
    network.posts = [NOT_PROCESSED]
    assert (await agent.resolve_outcome(authorization(), new=True)).outcome == "unknown"


async def test_the_word_not_taken_is_ours_alone(
    network: ScriptedNetwork, agent: NetworkCallHandler
) -> None:
    network.posts = [{"outcome": "not_processed"}, APPROVED]
    assert (await agent.resolve_outcome(authorization())).outcome == "approved"


async def test_a_network_without_an_address_is_waited_for(agent: NetworkCallHandler) -> None:
    with pytest.raises(Retry, match="NETWORK_FALLBACK_URL"):
        await agent.resolve_outcome(request(network="fallback"))


async def test_each_network_has_a_breaker_of_its_own_that_is_visible(
    both: dict[str, NetworkClient], network: ScriptedNetwork
) -> None:
    settings = NetworkSettings(attempts_max=2, backoff_seconds=0.01, breaker_window_calls=2)
    agent = NetworkCallHandler(both, settings)
    network.posts = network.gets = [500]
    with pytest.raises(Retry):
        await agent.resolve_outcome(request())
    await agent.resolve_outcome(request(network="fallback"))
    states = {
        name: REGISTRY.get_sample_value(
            "paystream_network_circuit_breaker_state", {"network": name}
        )
        for name in both
    }
    assert states == {PRIMARY: 2, "fallback": 0}
