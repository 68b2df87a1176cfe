"""Settings of this room from the environment."""

from __future__ import annotations

import pytest

from runtime.settings import ConfigurationError, load
from streams.domain import Policy
from streams.settings import NetworkSettings, merchant_policy, policy


def test_the_policy_without_settings_is_the_default() -> None:
    assert policy({}) == Policy()


def test_the_environment_sets_the_policy() -> None:
    assert policy({"PAYSTREAM_PAYMENTS_ACTION_TIMEOUT_SECONDS": "7"}).action_timeout_seconds == 7


def test_no_time_may_be_zero() -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        policy({"PAYSTREAM_PAYMENTS_STATUS_INQUIRY_BACKOFF_SECONDS": "0"})


def test_a_background_capture_comes_before_the_expiry() -> None:
    chosen = policy({"PAYSTREAM_PAYMENTS_AUTHORIZATION_VALID_SECONDS": "60"})
    assert chosen.capture_delay_seconds_max == 59


def test_the_parallel_consumer_waits_longer_than_a_call_can_take() -> None:
    settings = load(NetworkSettings, "network", {"PAYSTREAM_NETWORK_ATTEMPTS_MAX": "2"})
    assert settings.call_seconds_max > 2 * settings.timeout_seconds * settings.attempts_max


def test_merchants_defaults_can_be_set() -> None:
    assert merchant_policy({"PAYSTREAM_MERCHANTS_FEE_FIXED_MINOR": "0"}).fee_fixed_minor == 0
