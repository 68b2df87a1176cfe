"""Settings, seals, traces, ids: what every process leans on."""

import base64
from pathlib import Path

import msgspec
import pytest

from runtime.encryption import DecryptionError, decrypt, encrypt
from runtime.id_generator import new_id
from runtime.settings import ConfigurationError, connections, load
from runtime.telemetry import counter
from runtime.trace_context import new_traceparent, parse_or_start

KEY = base64.b64encode(bytes(range(32))).decode()


class Sample(msgspec.Struct, frozen=True):
    timeout_seconds: float = 3.0
    attempts_max: int = 4


def test_the_environment_wins_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[network]\ntimeout_seconds = 5.0\nattempts_max = 9\n")
    env = {"PAYSTREAM_CONFIG": str(file), "PAYSTREAM_NETWORK_ATTEMPTS_MAX": "7"}
    assert load(Sample, "network", {}) == Sample()
    assert load(Sample, "network", env) == Sample(timeout_seconds=5.0, attempts_max=7)


def test_a_bad_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="attempts_max"):
        load(Sample, "network", {"PAYSTREAM_NETWORK_ATTEMPTS_MAX": "many"})


def test_a_missing_connection_is_named() -> None:
    found = connections({"REDIS_URL": "redis://127.0.0.1:1", "HEALTH_PORT": "80"})
    assert found.health_port == 80
    with pytest.raises(ConfigurationError, match="CLICKHOUSE_URL"):
        found.need("redis_url", "clickhouse_url")


def test_a_seal_opens_for_its_owner_and_key_only() -> None:
    sealed = encrypt(KEY, "whsec_abc", "we_1")
    assert "whsec" not in sealed
    assert decrypt(KEY, sealed, "we_1") == "whsec_abc"
    with pytest.raises(DecryptionError):
        decrypt(KEY, sealed, "we_2")
    with pytest.raises(DecryptionError):
        decrypt(base64.b64encode(bytes(32)).decode(), sealed, "we_1")
    with pytest.raises(ValueError, match="32 bytes"):
        encrypt("c2hvcnQ=", "x", "y")


def test_a_valid_trace_goes_on_and_any_other_starts_anew() -> None:
    mine = new_traceparent()
    assert parse_or_start(mine) == mine
    for bad in (None, "", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", mine.upper() + "x"):
        assert parse_or_start(bad) != bad


def test_new_ids_are_unique_and_ordered() -> None:
    ids = [new_id("mer_") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [i[:16] for i in ids] == sorted(i[:16] for i in ids)


def test_a_metric_that_is_not_in_the_catalogue_does_not_exist() -> None:
    with pytest.raises(KeyError):
        counter("paystream_made_up_total")
