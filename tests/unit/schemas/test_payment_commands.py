"""A command's fingerprint covers what it asks for, after defaults, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.enums import CommandKind
from schemas.ids import derived_id
from schemas.payment_commands import CLIENT_COMMAND_KINDS, command_fingerprint, refund_id
from schemas.records import PaymentCommand


def print_of(kind: str = "create", **fields: Any) -> str:
    body = {"amount_minor": 1999, "currency": "EUR"} if kind == "create" else {}
    return command_fingerprint(
        PaymentCommand(
            command_id="cmd_1",
            payment_id="pay_1",
            merchant_id="mer_1",
            mode="test",
            kind=kind,
            fingerprint="",
            issued_at_ms=1,
            source="api",
            **{**body, **fields},
        )
    )


def test_these_bytes_never_change() -> None:
    """Producers compute it, and payments remember it."""
    assert print_of() == "edadacf7e3208cb51dfa4d7ac0a5f2b17f13139ac01a47b9e0e05690973db20c"


@pytest.mark.parametrize(
    "changes",
    [{"card": "another ciphertext"}, {"capture_method": "automatic"}, {"reference": None}],
)
def test_the_ciphertext_and_defaults_change_nothing(changes: dict[str, Any]) -> None:
    assert print_of() == print_of(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 2000},
        {"currency": "USD"},
        {"capture_method": "manual"},
        {"capture_delay_seconds": 60},
        {"reference": "order 1"},
        {"return_url": "https://shop.example/back"},
    ],
)
def test_everything_that_is_asked_for_counts(changes: dict[str, Any]) -> None:
    assert print_of() != print_of(**changes)


def test_other_commands_differ() -> None:
    prints = [
        print_of("capture"),
        print_of("capture", amount_minor=5),
        print_of("capture", amount_minor=5, final=True),
        print_of("refund"),
        print_of("refund", amount_minor=5),
        print_of("void"),
        print_of("complete_action"),
    ]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("kind", sorted(set(CommandKind) - CLIENT_COMMAND_KINDS))
def test_what_is_no_client_s_has_no_fingerprint(kind: str) -> None:
    with pytest.raises(KeyError):
        print_of(kind)


def test_a_refund_has_one_id() -> None:
    assert refund_id("pay_1", "key-1") == derived_id("ref_", "pay_1", "key-1")
