"""CPU-milliseconds per payment, by process: the whole local stack under a backlog and fixed rates.

Simulators stand for other companies, and the loader for clients: both are measured apart. A payment
counts when everything that it led to has arrived: events, ledger, webhooks, status, payouts.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from msgspec.structs import replace

from bench.figures import Figure
from bench.merchants import bench_merchant
from bench.options import Options
from devstack.services.child import Child, Launch
from devstack.supervisor.state_dir import PROCESSES_FILE_NAME
from devstack.traffic.card_encryption import CardEncryption
from devstack.traffic.drain import wait_until_drained
from devstack.traffic.runner import TrafficSettings, run
from paystream.cli.environment import read_env_file
from runtime.clock import now_ms
from runtime.kafka import producer_settings
from runtime.settings import connections
from schemas import ids
from schemas.codec import encode
from schemas.enums import CommandKind, Source
from schemas.envelopes import to_message
from schemas.payment_commands import command_fingerprint
from schemas.records import Endpoint, Merchant, PaymentCommand
from schemas.topics import MERCHANTS

IDLE_SECONDS = 20.0
RATES = (20, 150)
RATE_SECONDS = 20
BACKLOG_PAYMENTS = 3_000
DRAIN_SECONDS_MAX = 600.0
START_SECONDS_MAX = 240.0
MERCHANT = "mer_bench"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
OTHERS = ("network-simulator", "bank-simulator", "receiver-simulator", "fallback")
"""Processes that stand for other companies."""
_TRANSACTIONS = re.compile(
    r'^paystream_worker_transactions_total\{.*outcome="committed".*\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True)
class Reading:
    """CPU-seconds by process, and transactions that the workers committed, until now."""

    at: float
    cpu_seconds: Mapping[str, float]
    transactions: float


class RunningStack:
    """A local stack with its processes; `measure` reads what they have used."""

    def __init__(self, directory: Path) -> None:
        self._state_dir = directory / "state"
        self.env_file = directory / "stack.env"
        arguments = ("up", "--state-dir", str(self._state_dir), "--env-file", str(self.env_file))
        launch = Launch(
            name="up",
            command=(sys.executable, "-m", "paystream.cli", *arguments),
            log_path=directory / "up.log",
            ready=self.env_file.exists,
            ready_timeout_seconds=START_SECONDS_MAX,
        )
        self._child = Child(launch)
        self._child.wait_ready()
        self.env = read_env_file(self.env_file)

    def stop(self) -> None:
        """End the stack."""
        self._child.stop(30)

    def read(self) -> Reading:
        """What the processes have used since they started."""
        processes = json.loads((self._state_dir / PROCESSES_FILE_NAME).read_text())
        found = {name: cpu_seconds_of(int(pid)) for name, pid in processes.items()}
        return Reading(time.monotonic(), found, self._transactions())

    def _transactions(self) -> float:
        ports = json.loads((self._state_dir / "ports.json").read_text())
        total = 0.0
        for name, port in ports.items():
            if name.endswith("-health"):
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/metrics", timeout=5
                ) as answer:
                    total += sum(map(float, _TRANSACTIONS.findall(answer.read().decode())))
        return total


def cpu_seconds_of(pid: int) -> float:
    """User and system time of a process and of its children that have ended (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


@contextmanager
def running_stack() -> Iterator[RunningStack]:
    """A stack of its own in a temporary directory, stopped at the exit."""
    with tempfile.TemporaryDirectory(prefix="paystream-bench-") as directory:
        stack = RunningStack(Path(directory))
        try:
            yield stack
        finally:
            stack.stop()


def measure(options: Options) -> list[Figure]:
    """One stack for all loads; each load is drained before the next begins."""
    with running_stack() as stack:
        run(stack.env, TrafficSettings(payments=50, rate=20))  # warm: merchants, caches, topics
        wait_until_drained(stack.env, DRAIN_SECONDS_MAX)
        figures = _idle(stack)
        for rate in RATES:
            figures += _at_rate(stack, rate)
        return figures + _backlog(stack, BACKLOG_PAYMENTS)


def _idle(stack: RunningStack) -> list[Figure]:
    before = stack.read()
    time.sleep(IDLE_SECONDS)
    after = stack.read()
    seconds = after.at - before.at
    used = _used(before, after)
    return [
        Figure("pipeline", f"idle: {name}", "cores", [value / seconds])
        for name, value in _grouped(used).items()
    ]


def _at_rate(stack: RunningStack, rate: int) -> list[Figure]:
    payments = rate * RATE_SECONDS
    before = stack.read()
    result = run(stack.env, TrafficSettings(payments=payments, rate=rate))
    wait_until_drained(stack.env, DRAIN_SECONDS_MAX)
    load = f"{rate}/s by HTTP"
    return [
        *_per_payment(load, before, stack.read(), payments),
        Figure("pipeline", f"{load}: create p50", "ms", [result.latency_p50_ms]),
        Figure("pipeline", f"{load}: create p99", "ms", [result.latency_p99_ms]),
    ]


def _backlog(stack: RunningStack, payments: int) -> list[Figure]:
    """Creates that the API would have written, all at once."""
    send_creates(stack.env, payments)
    before = stack.read()
    wait_until_drained(stack.env, DRAIN_SECONDS_MAX)
    return _per_payment("backlog on Kafka", before, stack.read(), payments)


def send_creates(env: Mapping[str, str], payments: int) -> None:
    """Register a merchant with a receiver, and write its creates as the API does."""
    kafka = connections(env).kafka
    with urllib.request.urlopen(f"{env['API_URL']}/.well-known/jwks.json", timeout=10) as answer:
        card = CardEncryption(json.load(answer)).card("approve")
    producer = Producer(producer_settings(kafka) | {"queue.buffering.max.messages": 1_000_000})
    producer.produce(MERCHANTS, encode(receiving_merchant(env["RECEIVER_URL"])), MERCHANT)
    producer.flush(30)
    for number in range(payments):
        message = to_message(create_of(f"bench-{time.time_ns()}-{number}", card), "ingest_api")
        producer.produce(message.topic, message.value, message.key, headers=message.headers)
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("The broker did not acknowledge the creates. Look at its log.")


def receiving_merchant(receiver_url: str) -> Merchant:
    """A merchant with one endpoint that takes every webhook."""
    endpoint = Endpoint(
        endpoint_id="ep_bench", url=f"{receiver_url}/ok-bench", encrypted_secrets=[], enabled=True
    )
    return bench_merchant(MERCHANT, endpoints=[endpoint])


def create_of(key: str, card: str) -> PaymentCommand:
    """A create that is captured at once."""
    payment = ids.payment_id(MERCHANT, "test", key)
    command = PaymentCommand(
        command_id=ids.command_id(payment, CommandKind.CREATE, key),
        payment_id=payment,
        merchant_id=MERCHANT,
        mode="test",
        kind=CommandKind.CREATE,
        fingerprint="",
        issued_at_ms=now_ms(),
        source=Source.API,
        idempotency_key=key,
        amount_minor=1999,
        currency="EUR",
        capture_method="automatic",
        card=card,
    )
    return replace(command, fingerprint=command_fingerprint(command))


def _per_payment(load: str, before: Reading, after: Reading, payments: int) -> list[Figure]:
    used = _used(before, after)
    parts = _grouped(used)
    seconds = after.at - before.at
    return [
        *(
            Figure("pipeline", f"{load}: {name}", "CPU ms/payment", [value / payments * 1000])
            for name, value in parts.items()
        ),
        Figure("pipeline", f"{load}: drained", "payments/s", [payments / seconds]),
        Figure(
            "pipeline",
            f"{load}: transactions",
            "per payment",
            [(after.transactions - before.transactions) / payments],
        ),
    ]


def _used(before: Reading, after: Reading) -> dict[str, float]:
    """CPU-seconds by process; one that was started in between counts from its start."""
    return {
        name: seconds - before.cpu_seconds.get(name, 0.0)
        for name, seconds in after.cpu_seconds.items()
    }


def _grouped(used: Mapping[str, float]) -> dict[str, float]:
    """By kind of process, largest first; the total is without simulators and supervisor."""
    parts: dict[str, float] = {}
    for name, value in used.items():
        kind = re.sub(r"-\d+$", "", name)
        parts[kind] = parts.get(kind, 0.0) + value
    ours = {n: v for n, v in parts.items() if n != "supervisor" and not n.startswith(OTHERS)}
    others = sum(parts.values()) - sum(ours.values())
    ranked = dict(sorted(ours.items(), key=lambda item: -item[1]))
    return {"total": sum(ours.values()), **ranked, "simulators and supervisor": others}
