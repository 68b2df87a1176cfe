"""Secrets come from files too, and a name without a meaning is refused with the nearest one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from paystream.generate.default_config import SECTIONS as LOADED
from runtime.environment import SECTIONS
from runtime.settings import ConfigurationError, connections, load


class Sample(msgspec.Struct, frozen=True):
    timeout_seconds: float = 3.0
    token: str = ""


def test_every_section_of_a_process_is_known() -> None:
    simulators = {"bank_simulator", "network_simulator", "receiver_simulator"}
    assert set(SECTIONS) - simulators == set(LOADED)


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret \n")
    at = connections({"ADMIN_TOKEN_FILE": str(secret)})
    assert at.admin_token == "s3cret "
    assert load(Sample, "network", {"PAYSTREAM_NETWORK_TOKEN_FILE": str(secret)}).token == "s3cret "


def test_a_secret_that_is_set_twice_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    with pytest.raises(ConfigurationError, match="ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set"):
        connections({"ADMIN_TOKEN": "two", "ADMIN_TOKEN_FILE": str(secret)})


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"ADMIN_TOKEN_FILE=.*secret cannot be read"):
        connections({"ADMIN_TOKEN_FILE": str(secret)})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("PAYSTREAM_NETWROK_TIMEOUT_SECONDS", "Is it PAYSTREAM_NETWORK_TIMEOUT_SECONDS?"),
        ("PAYSTREAM_MASTERKEY", "Is it PAYSTREAM_MASTER_KEY?"),
        ("PAYSTREAM_MASTERKEY_FILE", "No process reads PAYSTREAM_MASTERKEY_FILE."),
        ("PAYSTREAM_XYZ", "No process reads PAYSTREAM_XYZ. Remove it."),
        ("PAYSTREAM_KAFKA_SASL_PASWORD", "Is it PAYSTREAM_KAFKA_SASL_PASSWORD?"),
        ("PAYSTREAM_KAFKA_SASL_PASWORD_FILE", "PAYSTREAM_KAFKA_SASL_PASWORD_FILE is no setting"),
    ],
)
def test_an_unknown_variable_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connections({name: "1"})
    assert sentence in str(caught.value)


def test_a_typing_error_in_a_sections_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Is it PAYSTREAM_NETWORK_TIMEOUT_SECONDS"):
        load(Sample, "network", {"PAYSTREAM_NETWORK_TIMEOUT_SECOND": "1"})
    near = {"PAYSTREAM_NETWORK_SIMULATOR_SEED": "1", "PAYSTREAM_NETWORK_TIMEOUT_SECONDS": "2"}
    assert load(Sample, "network", near).timeout_seconds == 2.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[network]\ntimout_seconds = 1\n", "'timout_seconds', which is not known. Is it timeout"),
        ("[netwrk]\ntimeout_seconds = 1\n", "has 'netwrk', which is not known. Is it network?"),
        ("network = 1\n", r"[network] is no table. Make it one."),
    ],
)
def test_an_unknown_name_of_the_file_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(Sample, "network", {"PAYSTREAM_CONFIG": str(config)})
    assert sentence in str(caught.value)


def test_what_kubernetes_adds_is_left_alone() -> None:
    service = {
        "PAYSTREAM_SERVICE_HOST": "10.0.0.7",
        "PAYSTREAM_API_SERVICE_PORT_HTTP": "8080",
        "PAYSTREAM_API_PORT": "tcp://10.0.0.7:8080",
        "PAYSTREAM_API_PORT_8080_TCP_ADDR": "10.0.0.7",
        "PAYSTREAM_CONSOLE_SERVICE_HOST": "10.0.0.8",
    }
    connections(service)
    load(Sample, "api", service)
