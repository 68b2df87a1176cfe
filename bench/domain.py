"""Microseconds of what needs no service: codecs, and the payment's state machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.broker import Commands
from bench.contract import decode_command, encode_event, generated
from bench.figures import Figure
from bench.options import Options
from schemas.codec import decode_by_schema, decoder, encode, encode_by_schema
from schemas.enums import CommandKind, Outcome
from schemas.ids import command_id, payment_id
from schemas.records import PaymentCommand, PaymentEvent
from streams.domain import Policy, decide
from streams.state_codec import decode_state, encode_state

CALLS = 20_000
PAYMENTS = 2000
ROUNDS_PER_RUN = 5
"""A round takes a tenth of a second, so one interruption would be a third of three."""
MERCHANT = "mer_0198f1c0a5f07c0e9a1b2c3d4e5f6a7b"
CARD = "e" * 300  # a JWE is about so long

Lives = list[list[PaymentCommand]]
"""Commands by payment, in order."""


def microseconds(function: Callable[[], Any], calls: int = CALLS) -> float:
    """Per call, the mean of one round."""
    began = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - began) / calls * 1e6


def measure_codec(options: Options) -> list[Figure]:
    """Generated codecs beside fastavro, the product's records and the seven fields of the bench."""
    command = create_command(0)
    event = payment_history(command)[-1][1]
    timed: dict[str, Callable[[], Any]] = {}
    for record in (command, event):
        name, data, read = type(record).__name__, encode(record), decoder(type(record))
        timed[f"{name}: decode"] = partial(read, data)
        timed[f"{name}: decode, fastavro"] = partial(decode_by_schema, type(record), data)
        timed[f"{name}: encode"] = partial(encode, record)
        timed[f"{name}: encode, fastavro"] = partial(encode_by_schema, record)
    timed |= seven_fields()
    return [
        Figure("codec", name, "µs", [microseconds(call) for _ in range(options.runs)])
        for name, call in timed.items()
    ]


def seven_fields() -> dict[str, Callable[[], Any]]:
    """The records of the throughput bench; fastavro makes dicts, ours Structs."""
    codecs = generated()
    _, data = Commands(0).next()
    plain = {"payment_id": "p" * 32, "type": "created", "v": 1, "amount": 1000}
    event = codecs["Event"](**plain)
    return {
        "7 fields: decode": lambda: codecs["read_Command"](data),
        "7 fields: decode to a dict, fastavro": lambda: decode_command(data),
        "4 fields: encode": lambda: codecs["write_Event"](event),
        "4 fields: encode a dict, fastavro": lambda: encode_event(plain),
    }


def create_command(number: int) -> PaymentCommand:
    """A create as the API writes it."""
    key = f"order-{number}"
    payment = payment_id(MERCHANT, "test", key)
    return PaymentCommand(
        command_id=command_id(payment, "create", key),
        payment_id=payment,
        merchant_id=MERCHANT,
        mode="test",
        kind=CommandKind.CREATE,
        fingerprint=f"{number:064x}",
        issued_at_ms=1_763_700_000_000 + number,
        source="api",
        idempotency_key=key,
        amount_minor=1999,
        currency="EUR",
        capture_method="automatic",
        card=CARD,
        reference=f"order {number}",
        fee_basis_points=140,
        fee_fixed_minor=25,
    )


def payment_history(create: PaymentCommand) -> list[tuple[PaymentCommand, PaymentEvent]]:
    """Commands of a payment that is approved and captured, each with its last event."""
    policy, state, command, life = Policy(), None, create, []
    for step in range(3):
        decision = decide(state, command, policy)
        state = decision.state
        life.append((command, decision.events[-1]))
        if not decision.requests:
            break
        request = decision.requests[0]
        command = PaymentCommand(
            command_id=f"{create.command_id}-{step}",
            payment_id=create.payment_id,
            merchant_id=MERCHANT,
            mode="test",
            kind=CommandKind.NETWORK_RESULT,
            fingerprint=f"{step:064x}",
            issued_at_ms=create.issued_at_ms + step,
            source="network",
            operation=request.operation,
            operation_id=request.operation_id,
            attempt=request.attempt,
            outcome=Outcome.APPROVED,
            network_reference="net_0123456789",
        )
    return life


def measure_domain(options: Options) -> list[Figure]:
    """decide (with evolve), and the state's codec; whole lives of payments, after a warm-up."""
    lives = [
        [command for command, _ in payment_history(create_command(n))] for n in range(PAYMENTS)
    ]
    commands = sum(map(len, lives))
    rounds = options.runs * ROUNDS_PER_RUN
    decide_all_stored(lives)
    pure = [cpu_seconds(decide_all, lives) / commands * 1e6 for _ in range(rounds)]
    stored = [cpu_seconds(decide_all_stored, lives) / commands * 1e6 for _ in range(rounds)]
    return [
        Figure("domain", "decide + evolve, per command", "µs of CPU", pure),
        Figure("domain", "the same with the state decoded and encoded", "µs of CPU", stored),
    ]


def cpu_seconds(function: Callable[[Lives], None], lives: Lives) -> float:
    """What the call costs this thread, without the time in which others had the core."""
    began = time.thread_time()
    function(lives)
    return time.thread_time() - began


def decide_all(lives: Lives) -> None:
    """State stays an object."""
    policy = Policy()
    for life in lives:
        state = None
        for command in life:
            state = decide(state, command, policy).state


def decide_all_stored(lives: Lives) -> None:
    """State goes through its bytes between commands."""
    policy = Policy()
    for life in lives:
        raw: bytes | None = None
        for command in life:
            state = None if raw is None else decode_state(raw)
            decided = decide(state, command, policy).state
            assert decided is not None
            raw = encode_state(decided)
