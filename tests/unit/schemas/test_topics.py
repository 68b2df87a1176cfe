"""The catalogue of topics is complete and names records that exist."""

from schemas import topics
from schemas.registry import latest


def test_every_topic_holds_a_known_record() -> None:
    assert {t.record for t in topics.TOPICS.values()} <= set(latest())


def test_every_constant_is_a_file_and_the_other_way_round() -> None:
    constants = {
        value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)
    }
    assert constants == set(topics.TOPICS)


def test_what_is_the_truth_is_kept_without_limit() -> None:
    for name in ("payments.events", "merchants.events", "payouts.events"):
        assert topics.TOPICS[name].retention_ms == -1
