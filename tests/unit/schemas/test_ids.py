"""Derived ids meet for copies of one request and for nothing else."""

import hashlib
from base64 import b32encode

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import command_id, derived_id, event_id, fingerprint, payment_id


def test_ids_do_not_change_between_releases() -> None:
    assert payment_id("mer_1", "test", "order-1") == GOLDEN_PAYMENT
    assert command_id(GOLDEN_PAYMENT, "create", "order-1") == GOLDEN_COMMAND
    assert event_id(GOLDEN_PAYMENT, 3) == GOLDEN_PAYMENT + "-3"


@given(st.tuples(st.text(), st.text(), st.text()), st.tuples(st.text(), st.text(), st.text()))
def test_other_parts_give_other_ids(a: tuple[str, str, str], b: tuple[str, str, str]) -> None:
    assert (payment_id(*a) == payment_id(*b)) == (a == b)


def test_parts_cannot_run_into_each_other() -> None:
    assert payment_id("a", "bc", "d") != payment_id("ab", "c", "d")


@given(st.text(), st.text(), st.text())
def test_ids_are_what_their_definition_says(merchant: str, mode: str, key: str) -> None:
    """SHA-256 over length and text of each part; RFC 4648 digits in Crockford's alphabet."""
    parts = [part.encode() for part in ("payment", merchant, mode, key)]
    joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    digits = b32encode(hashlib.sha256(joined).digest())[:26].decode()
    alphabet = zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghjkmnpqrstvwxyz", strict=True
    )
    crockford = dict(alphabet)
    assert payment_id(merchant, mode, key) == "pay_" + "".join(crockford[d] for d in digits)


def test_a_derived_id_is_one_of_its_prefix() -> None:
    assert derived_id("ref_", "cmd_1") == GOLDEN_REFUND
    assert derived_id("dsp_", "cmd_1")[4:] != GOLDEN_REFUND[4:]


def test_a_fingerprint_does_not_change_between_releases() -> None:
    body = {"amount_minor": 1999, "currency": "EUR", "reference": "größe", "card": None}
    assert fingerprint(body) == GOLDEN_FINGERPRINT


def test_fingerprint_ignores_order_and_absent_fields() -> None:
    assert fingerprint({"a": 1, "b": None, "c": "x"}) == fingerprint({"c": "x", "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


GOLDEN_PAYMENT = "pay_eqfjw9hcts7j8b4qqtdy5m8xev"
GOLDEN_COMMAND = "cmd_9ez2jwv0gt743c62s91vpycy4m"
GOLDEN_REFUND = "ref_4pk8998e2w4qns3dcwrrxy0k6x"
GOLDEN_FINGERPRINT = "3809bfbc15246d67c0678c32635bce511ce2d801bef10985d4195531bb0fab17"
