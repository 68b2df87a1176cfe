"""What it costs to check that a client's command may be accepted: registry, identity, signature."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from bench.domain import MERCHANT, cpu_seconds, create_command
from bench.figures import Figure, ratio
from bench.merchants import bench_merchant
from bench.options import Options
from engine import Record
from schemas.codec import encode
from schemas.partitioning import partition_of
from schemas.payment_commands import command_fingerprint
from schemas.records import Merchant, PaymentCommand, ProducerKey
from schemas.signatures import SignatureVerifier, sign
from schemas.topics import PAYMENTS_COMMANDS, PAYMENTS_PRODUCER_COMMANDS
from streams.agents.admission import Admission
from streams.agents.merchant_terms import TermsTable
from streams.domain.admission import AdmissionPolicy

COMMANDS = 1_000
MERCHANTS = 20_000
BURSTS = (1, 10, 100, 1_000)
PARTITIONS = 12
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
JWE_HEADER = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSJ9"
MICROSECONDS = 1e6


@dataclass(frozen=True)
class Message:
    """A client's message, as the engine wraps it."""

    named_topic: str
    value_bytes: bytes
    payment_id: str
    signed: dict[str, bytes]
    at_ms: int

    def topic(self) -> str:
        """Its topic."""
        return self.named_topic

    def partition(self) -> int:
        """Its partition."""
        return partition_of(self.payment_id, PARTITIONS)

    def offset(self) -> int:
        """Its offset."""
        return 0

    def key(self) -> bytes:
        """Its key."""
        return self.payment_id.encode()

    def value(self) -> bytes:
        """Its value."""
        return self.value_bytes

    def headers(self) -> list[tuple[str, bytes]]:
        """Its headers."""
        return list(self.signed.items())

    def timestamp(self) -> tuple[int, int]:
        """Its type of time, and its time."""
        return (1, self.at_ms)


def measure(options: Options) -> list[Figure]:
    """Per command, in microseconds of CPU; per merchant, in bytes."""
    table = terms_table(1)
    verify = [_verifications(burst, options) for burst in BURSTS]
    unsigned = _admitted("the API's topic", PAYMENTS_COMMANDS, 1, table, options)
    signed = [
        _admitted(
            f"producers' topic, bursts of {burst}",
            PAYMENTS_PRODUCER_COMMANDS,
            burst,
            table,
            options,
        )
        for burst in BURSTS
    ]
    return [
        *verify,
        unsigned,
        *signed,
        *(ratio(f"{each.name} / {unsigned.name}", "x", each, unsigned) for each in signed),
        _looked_up(options),
        _bytes_per_merchant(),
    ]


def commands() -> list[PaymentCommand]:
    """Creates whose identities are right."""
    made = (create_command(number) for number in range(COMMANDS))
    jwe = f"{JWE_HEADER}..aXYtaXYtaXYtaXY.{'e' * 200}.dGFnLXRhZw"
    return [
        replace(each, card=jwe, fingerprint=command_fingerprint(replace(each, card=jwe)))
        for each in made
    ]


def signatures(values: list[bytes], burst: int) -> Iterator[dict[str, bytes]]:
    """Headers of each value; `burst` of them share a signature."""
    for at in range(0, len(values), burst):
        yield from sign(PRIVATE, "pk_1", values[at : at + burst])


def merchant(number: int) -> Merchant:
    """A merchant with a producer key; the first one sends the commands."""
    return bench_merchant(
        MERCHANT if number == 0 else f"mer_{number:032d}",
        producer_keys=[
            ProducerKey(
                key_id="pk_1", public_key=PRIVATE.public_key().public_bytes_raw(), mode="test"
            )
        ],
    )


def terms_table(count: int) -> TermsTable:
    """The terms of so many merchants."""
    table = TermsTable()
    for number in range(count):
        each = merchant(number)
        table.apply(each.merchant_id.encode(), encode(each))
    return table


def _figure(name: str, call: Callable[[], float], options: Options) -> Figure:
    return Figure("admission", name, "µs of CPU", [call() for _ in range(options.runs)])


def _per_command(call: Callable[[], None]) -> float:
    return cpu_seconds(lambda _: call(), []) / COMMANDS * MICROSECONDS


def _verifications(burst: int, options: Options) -> Figure:
    values = [encode(command) for command in commands()]
    signed = list(signatures(values, burst))
    public = PRIVATE.public_key().public_bytes_raw()

    def check_all() -> None:
        verifier = SignatureVerifier()
        for value, headers in zip(values, signed, strict=True):
            verifier.check(value, headers, public)

    return _figure(f"signature, bursts of {burst}", lambda: _per_command(check_all), options)


def _admitted(name: str, topic: str, burst: int, table: TermsTable, options: Options) -> Figure:
    asked = commands()
    values = [encode(command) for command in asked]
    records = [
        Record(Message(topic, value, command.payment_id, headers, command.issued_at_ms), command)
        for command, value, headers in zip(asked, values, signatures(values, burst), strict=True)
    ]

    def admit_all() -> None:
        admission = Admission(table.get, AdmissionPolicy(), PARTITIONS)
        for record in records:
            found = admission.admit(topic, record)
            assert isinstance(found, PaymentCommand), found

    return _figure(f"admission, {name}", lambda: _per_command(admit_all), options)


def _looked_up(options: Options) -> Figure:
    table = terms_table(MERCHANTS)
    ids = [merchant(number).merchant_id for number in range(0, MERCHANTS, MERCHANTS // COMMANDS)]

    def look_up_all() -> None:
        for merchant_id in ids:
            assert table.get(merchant_id) is not None

    return _figure("registry look-up", lambda: _per_command(look_up_all), options)


def _bytes_per_merchant() -> Figure:
    tracemalloc.start()
    table = terms_table(MERCHANTS)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return Figure("admission", "merchant in memory", "bytes", [used / len(table)])
