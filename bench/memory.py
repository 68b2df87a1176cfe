"""Bytes that a payment takes while it is in the table, and while its archive stub stands for it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

from bench.domain import create_command, payment_history
from bench.figures import Figure
from bench.options import Options
from engine.state.due_index import DueIndex
from engine.state.store import MemoryStore
from schemas.codec import encode
from schemas.records import PaymentCommand
from streams.domain import PaymentState, Policy, decide
from streams.domain.archive import archive_stub
from streams.domain.history_codec import pack
from streams.state_codec import encode_archived, encode_state

ENTRIES = 5_000


def measure_memory(options: Options) -> list[Figure]:
    """Encoded sizes, and memory per entry of the default store; the same in every run."""
    states = [_captured(create_command(number)) for number in range(ENTRIES)]
    live = {state.payment_id: encode_state(state) for state in states}
    stubs = {state.payment_id: encode_archived(archive_stub(state)) for state in states}
    history = [encode(event) for _, event in payment_history(create_command(0))]
    bytes_of = {
        "captured payment: encoded": _mean(map(len, live.values())),
        "captured payment: in the store": _stored(live),
        "due time in the index": _indexed(list(live)),
        "stub: encoded": _mean(map(len, stubs.values())),
        "stub: in the store": _stored(stubs),
        "payment id": float(len(states[0].payment_id)),
        f"history of {len(history)} events, packed": float(len(pack(history))),
    }
    return [Figure("memory", name, "bytes", [value]) for name, value in bytes_of.items()]


def _captured(create: PaymentCommand) -> PaymentState:
    state: PaymentState | None = None
    for command, _ in payment_history(create):
        state = decide(state, command, Policy()).state
    assert state is not None
    return state


def _mean(sizes: Iterable[int]) -> float:
    found = list(sizes)
    return sum(found) / len(found)


def _stored(values: dict[str, bytes]) -> float:
    """Per entry: its key and value as the engine holds them, and their place in the dict."""
    tracemalloc.start()
    store = MemoryStore()
    copies = ((key[:1] + key[1:], bytes(bytearray(value))) for key, value in values.items())
    store.apply(copies, 1)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / len(store)


def _indexed(keys: list[str]) -> float:
    tracemalloc.start()
    index = DueIndex()
    for number, key in enumerate(keys):
        index.set(key, 1_763_700_000_000 + number)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / len(keys)
