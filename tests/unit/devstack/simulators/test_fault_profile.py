"""Latency and faults of the simulators, and the table of cards."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from devstack.simulators.cards import CARDS, behaviour_of
from devstack.simulators.fault_profile import Fault, FaultProfile, sample_faults
from devstack.simulators.settings import ReceiverSettings, SimulatorSettings, load
from devstack.traffic.stats import percentile
from schemas.pan import TEST_CARD_NUMBERS, passes_luhn


def fault_profile(**changes: float) -> FaultProfile:
    values = {
        "latency_p50_ms": 120,
        "latency_p99_ms": 380,
        "fault_ratio": 0,
        "lost_answer_ratio": 0,
    }
    return FaultProfile(seed=1, **(values | changes))


def test_the_same_request_has_the_same_fate() -> None:
    assert sample_faults(fault_profile(), "key", 3) == sample_faults(fault_profile(), "key", 3)
    assert sample_faults(fault_profile(), "key", 3) != sample_faults(fault_profile(), "key", 4)


def test_latency_is_log_normal_around_its_percentiles() -> None:
    latencies = [
        sample_faults(fault_profile(), f"key-{n}", 1).latency_seconds * 1000 for n in range(5000)
    ]
    assert statistics.median(latencies) == pytest.approx(120, rel=0.05)
    assert percentile(latencies, 0.99) == pytest.approx(380, rel=0.15)
    assert min(latencies) > 0


def test_faults_have_their_ratio_and_all_kinds() -> None:
    faults = Counter(
        sample_faults(fault_profile(fault_ratio=0.2), f"key-{n}", 1).fault for n in range(5000)
    )
    assert sum(faults[kind] for kind in Fault) / 5000 == pytest.approx(0.2, abs=0.02)
    assert set(faults) == {None, *Fault}


def test_lost_answers_come_on_top() -> None:
    fates = [
        sample_faults(fault_profile(lost_answer_ratio=0.05), f"key-{n}", 1).fault
        for n in range(5000)
    ]
    assert Counter(fates)[Fault.LOST_ANSWER] / 5000 == pytest.approx(0.05, abs=0.01)
    assert set(fates) == {None, Fault.LOST_ANSWER}


def test_no_latency_is_possible() -> None:
    assert (
        sample_faults(fault_profile(latency_p50_ms=0, latency_p99_ms=0), "key", 1).latency_seconds
        == 0
    )


def test_card_numbers_are_valid_and_unique() -> None:
    assert all(len(card.number) == 16 and passes_luhn(card.number) for card in CARDS)
    assert {card.number for card in CARDS} == TEST_CARD_NUMBERS
    assert len({card.number for card in CARDS}) == len(CARDS)
    assert len({card.behaviour.name for card in CARDS}) == len(CARDS)


def test_a_number_outside_of_the_table_is_declined() -> None:
    assert behaviour_of("4111111111111111").authorize_decline == "generic_decline"


def test_flags_win_over_the_environment_over_defaults() -> None:
    env = {
        "PAYSTREAM_NETWORK_SIMULATOR_FAULTS": "0.5",
        "PAYSTREAM_NETWORK_SIMULATOR_SEED": "9",
    }
    flags = ["--port", "1", "--state-dir", "d", "--seed", "3"]
    chosen = load("network", SimulatorSettings, flags, env)
    assert (chosen.faults, chosen.seed, chosen.latency_p50_ms) == (0.5, 3, 120)
    assert load("receiver", ReceiverSettings, flags, {}).faults == 0


def test_a_wrong_setting_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        load("network", SimulatorSettings, [], {"PAYSTREAM_NETWORK_SIMULATOR_SEED": "many"})
    assert "network_simulator" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        load("network", SimulatorSettings, [], {})
    assert "--port" in capsys.readouterr().err
