"""A record with another key, or in another partition than its key's, is no record of its topic."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from schemas.partitioning import partition_of
from schemas.records import PayoutItem
from schemas.topics import PAYMENTS_DEAD_LETTERS, PAYOUTS_ITEMS
from workers.placement import MisplacedRecord, Placement

ITEM = PayoutItem(
    item_id="i",
    merchant_id="mer_1",
    mode="test",
    currency="EUR",
    amount_minor=1,
    kind="capture",
    payment_id="p",
    occurred_at_ms=1,
)
HOME = partition_of("mer_1", 12)


class Given(NamedTuple):
    value: Any
    key: str | None
    partition: int


class GivenBatch(list[Given]):
    topic = PAYOUTS_ITEMS


def checked(*records: Given) -> list[Any]:
    return list(Placement(12).records(GivenBatch(records)))  # type: ignore[arg-type] # enough of it


def test_a_record_in_its_place_is_handed_on() -> None:
    assert checked(Given(ITEM, "mer_1", HOME)) == [Given(ITEM, "mer_1", HOME)]


@pytest.mark.parametrize("key", ["mer_2", None, "", "\ufffd"])
def test_another_key_is_refused(key: str | None) -> None:
    with pytest.raises(MisplacedRecord, match="The record about 'mer_1' has the key"):
        checked(Given(ITEM, key, HOME))


@pytest.mark.parametrize("partition", [p for p in range(12) if p != HOME])
def test_another_partition_is_refused(partition: int) -> None:
    with pytest.raises(MisplacedRecord, match="murmur2"):
        checked(Given(ITEM, "mer_1", partition))


def test_a_topic_without_a_key_of_its_own_cannot_be_checked() -> None:
    class Letters(GivenBatch):
        topic = PAYMENTS_DEAD_LETTERS

    with pytest.raises(ValueError, match="is not one field"):
        list(Placement(12).records(Letters()))  # type: ignore[arg-type] # enough of it
