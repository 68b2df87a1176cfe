"""The simulators' references: no digits, and one per key."""

from devstack.simulators.references import letters_of


def test_a_reference_is_letters_alone_so_that_none_looks_like_a_card_number() -> None:
    given = {letters_of(f"pay_{number}:authorize", 24) for number in range(2_000)}
    assert len(given) == 2_000
    assert all(reference.isalpha() and len(reference) == 24 for reference in given)


def test_the_same_key_gets_the_same_reference() -> None:
    assert letters_of("pay_1:authorize", 20) == letters_of("pay_1:authorize", 20)
