"""Percentiles and results."""

from __future__ import annotations

import json

from devstack.traffic.drain import UnderWay
from devstack.traffic.stats import Tally, percentile, result_of


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50, 99)
    assert (percentile([3.0], 0.99), percentile([], 0.5)) == (3, 0)


def test_a_result_is_json_and_keeps_the_first_problems() -> None:
    tally = Tally(10)
    for number in range(60):
        tally.problem(f"problem {number}")
    tally.took(12.34, waited=False)
    tally.took(99, waited=True)
    facts = json.loads(json.dumps(result_of(tally, 1.23456).as_dict()))
    assert (facts["problem_count"], len(facts["problems"])) == (60, 50)
    assert (facts["latency_p99_ms"], facts["decision_p50_ms"], facts["seconds"]) == (
        12.3,
        99,
        1.235,
    )


def test_what_is_under_way_is_said_in_a_sentence() -> None:
    under_way = UnderWay({"sinks-audit": 3}, {"capturing": 2}, 1)
    assert not under_way.is_settled
    assert under_way.sentence() == (
        "sinks-audit has 3 records unread; 2 payments are capturing; 1 refunds have no outcome"
    )
    assert UnderWay().is_settled
    assert not UnderWay(trouble="Kafka: away").is_settled
