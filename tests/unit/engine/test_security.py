"""Both clients of a worker get their security from the same settings."""

from __future__ import annotations

import ssl

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from engine import EngineApp
from engine.broker.security import faust_credentials

SCRAM = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "payments",
    "sasl.password": "secret",
}


def test_plain_text_needs_no_credentials() -> None:
    assert faust_credentials({}) is None


def test_a_worker_gives_one_user_to_both_clients() -> None:
    app = EngineApp("secured", bootstrap_servers="127.0.0.1:1", extra=SCRAM)
    member = credentials_to_aiokafka_auth(app.conf.broker_credentials, app.conf.ssl_context)
    assert (member["security_protocol"], member["sasl_mechanism"]) == (
        "SASL_PLAINTEXT",
        "SCRAM-SHA-512",
    )
    assert (member["sasl_plain_username"], member["sasl_plain_password"]) == ("payments", "secret")
    for settings in (
        app.context.config.fetch_consumer(),
        app.context.config.restore_consumer(),
        app.context.config.parallel_consumer(),
        app.context.config.transactional_producer(),
        app.context.config.idempotent_producer(),
    ):
        assert SCRAM.items() <= settings.items()


def test_tls_verifies_unless_configured_otherwise() -> None:
    found = credentials_to_aiokafka_auth(faust_credentials({"security.protocol": "ssl"}))
    assert found["security_protocol"] == "SSL"
    assert found["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert found["ssl_context"].check_hostname
    lax = SCRAM | {
        "security.protocol": "SASL_SSL",
        "enable.ssl.certificate.verification": "false",
    }
    found = credentials_to_aiokafka_auth(faust_credentials(lax))
    assert found["security_protocol"] == "SASL_SSL"
    assert found["ssl_context"].verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sasl.mechanism": "GSSAPI"}, "choose one of PLAIN"),
        ({"sasl.password": ""}, r"sasl\.password must be set"),
        ({"security.protocol": "TLS"}, "choose one of PLAINTEXT"),
    ],
)
def test_what_cannot_work_is_named(change: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        faust_credentials(SCRAM | change)
