"""Section [kafka]: what reaches librdkafka, and which sentence a wrong value gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from runtime.kafka import client_settings, consumer_settings, producer_settings
from runtime.settings import ConfigurationError, connections
from workers.app import new_app

BROKER = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
SCRAM = BROKER | {
    "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "PAYSTREAM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "PAYSTREAM_KAFKA_SASL_USERNAME": "payments",
    "PAYSTREAM_KAFKA_SASL_PASSWORD": "only-here",
}
OAUTH = BROKER | {
    "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "PAYSTREAM_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "PAYSTREAM_KAFKA_OAUTH_TOKEN_URL": "https://127.0.0.1:1/token",
    "PAYSTREAM_KAFKA_OAUTH_CLIENT_ID": "payments",
    "PAYSTREAM_KAFKA_OAUTH_CLIENT_SECRET": "only-here",
}
WANTED = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "payments",
    "sasl.password": "only-here",
}


def test_plain_text_adds_nothing() -> None:
    assert connections(BROKER).kafka.security == {}


def test_every_kind_of_client_gets_it(tmp_path: Path) -> None:
    kafka = connections(SCRAM).kafka
    assert kafka.security == WANTED
    for settings in (
        client_settings(kafka),
        producer_settings(kafka),
        consumer_settings(kafka, "a group"),
    ):
        assert WANTED.items() <= settings.items()
    app = new_app("a-group", "0", SCRAM | {"PAYSTREAM_STATE_DIR": str(tmp_path)})
    assert WANTED.items() <= app.context.config.base().items()
    assert app.conf.broker_credentials.username == "payments"


def test_the_engines_own_settings_win(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[engine.extra]\n"sasl.username" = "another"\n')
    env = SCRAM | {"PAYSTREAM_CONFIG": str(config), "PAYSTREAM_STATE_DIR": str(tmp_path)}
    assert new_app("a-group", "0", env).context.config.base()["sasl.username"] == "another"


def test_a_token_endpoint_is_librdkafkas_own() -> None:
    security = connections(OAUTH).kafka.security
    assert security["sasl.oauthbearer.method"] == "oidc"
    assert security["sasl.oauthbearer.token.endpoint.url"] == "https://127.0.0.1:1/token"


def test_librdkafka_knows_every_name() -> None:
    for env in (SCRAM, OAUTH):
        kafka = connections(env).kafka
        quiet = {"log_level": 0}
        Producer(producer_settings(kafka) | quiet)
        Consumer(consumer_settings(kafka, "g") | quiet).close()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SECURITY_PROTOCOL": "TLS"}, "security_protocol is 'TLS'. Choose one of PLAINTEXT"),
        ({"SASL_MECHANISM": "GSSAPI"}, "sasl_mechanism is 'GSSAPI'. Choose one of PLAIN"),
        ({"SASL_MECHANISM": ""}, "sasl_mechanism is ''. Choose one of PLAIN"),
        ({"SASL_PASSWORD": ""}, "needs sasl_password. Set PAYSTREAM_KAFKA_SASL_PASSWORD"),
        ({"SASL_MECHANISM": "OAUTHBEARER"}, "needs oauth_token_url and oauth_client_id and"),
        ({"SSL_CA_FILE": "/no/such.pem"}, "CA file /no/such.pem, which cannot be used"),
        ({"SSL_CA_FILE": __file__}, "test_kafka_connection.py, which cannot be used"),
        ({"SSL_CERTIFICATE_FILE": "a.pem"}, "a certificate file without a key file"),
        ({"SECURITY_PROTOCOL": "PLAINTEXT"}, "sasl_mechanism is set, but security_protocol"),
        (
            {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SSL_CA_FILE": "a.pem"},
            "has files for TLS, but security_protocol is SASL_PLAINTEXT",
        ),
    ],
)
def test_a_wrong_value_is_a_sentence(change: dict[str, str], sentence: str) -> None:
    wrong = {f"PAYSTREAM_KAFKA_{name}": value for name, value in change.items()}
    with pytest.raises(ConfigurationError) as caught:
        connections(SCRAM | wrong)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "only-here" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    kafka = connections(SCRAM).kafka
    assert "only-here" not in repr(kafka)
    assert "127.0.0.1:1" in repr(kafka)
