"""Derived ids meet for copies of one request and for nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import command_id, event_id, fingerprint, payment_id


def test_ids_do_not_change_between_releases() -> None:
    assert payment_id("mer_1", "test", "order-1") == GOLDEN_PAYMENT
    assert command_id(GOLDEN_PAYMENT, "create", "order-1") == GOLDEN_COMMAND
    assert event_id(GOLDEN_PAYMENT, 3) == GOLDEN_PAYMENT + "-3"


@given(st.tuples(st.text(), st.text(), st.text()), st.tuples(st.text(), st.text(), st.text()))
def test_other_parts_give_other_ids(a: tuple[str, str, str], b: tuple[str, str, str]) -> None:
    assert (payment_id(*a) == payment_id(*b)) == (a == b)


def test_parts_cannot_run_into_each_other() -> None:
    assert payment_id("a", "bc", "d") != payment_id("ab", "c", "d")


def test_fingerprint_ignores_order_and_absent_fields() -> None:
    assert fingerprint({"a": 1, "b": None, "c": "x"}) == fingerprint({"c": "x", "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


GOLDEN_PAYMENT = "pay_eqfjw9hcts7j8b4qqtdy5m8xev"
GOLDEN_COMMAND = "cmd_9ez2jwv0gt743c62s91vpycy4m"
