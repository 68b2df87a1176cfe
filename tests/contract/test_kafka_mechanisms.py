"""Each way to prove who one is, for librdkafka and the group member: from [kafka] to the broker."""

from __future__ import annotations

import json
import secrets
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import (
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from devstack.services import kafka, kafka_jars
from devstack.services.certificates import Certificates, certificates_in
from devstack.services.child import Child
from devstack.services.kafka_security import ADMIN, BROKER, BrokerSecurity
from devstack.services.ports import LOOPBACK, PortBook, free_port
from engine.broker.security import faust_credentials
from runtime import consumer_lag
from runtime.kafka import TopicUnreadable
from runtime.settings import connections

pytestmark = pytest.mark.services
TOPIC = "proof"
SECRET = secrets.token_urlsafe(16)
SCRAM_USER = "scram-user"
OAUTH_USER = "oauth-user"
LOGIN = "org.apache.kafka.common.security"


class Endpoint(HTTPServer):
    """A token endpoint; its tokens are unsigned, as the broker of this test accepts them."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Tokens)


class Tokens(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        who = b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        known = who == f"{OAUTH_USER}:{SECRET}"
        answer = {"access_token": token(), "expires_in": 300} if known else {"error": "no"}
        content = json.dumps(answer).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def token() -> str:
    now = int(time.time())
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": OAUTH_USER, "iat": now, "exp": now + 300})
    encoded = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{'.'.join(encoded)}."


class Broker(NamedTuple):
    """Where it listens, and what clients trust and show."""

    sasl: str
    mutual: str
    token_url: str
    server: Certificates
    client: Certificates


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    kafka_jars.fetch()
    directory = tmp_path_factory.mktemp("mechanisms")
    passwords = {user: secrets.token_urlsafe(16) for user in (ADMIN, BROKER)}
    security = BrokerSecurity(certificates_in(directory / "server"), passwords)
    client = certificates_in(directory / "client")
    cluster = kafka.prepare(
        directory / "kafka", PortBook(directory / "ports.json"), directory, 1, security
    )
    [node], mutual = cluster.nodes, f"{LOOPBACK}:{free_port()}"
    node.config_path.write_text(more_ways(node.config_path.read_text(), mutual, client))
    child, endpoint = Child(cluster.launches[0]), Endpoint()
    thread = threading.Thread(target=endpoint.serve_forever)
    thread.start()
    try:
        child.wait_ready()
        make_topic_and_user(security, node.bootstrap)
        token_url = f"http://{LOOPBACK}:{endpoint.server_port}/token"
        yield Broker(node.bootstrap, mutual, token_url, security.certificates, client)
    finally:
        child.kill_group()
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()


def more_ways(properties: str, mutual: str, client: Certificates) -> str:
    """SCRAM and tokens on the listener that asks for a user; certificates on one more."""
    lines = dict(line.split("=", 1) for line in properties.splitlines())
    scram = f"{LOGIN}.scram.ScramLoginModule required;"
    lines["listeners"] += f",MUTUAL://{mutual}"
    lines["advertised.listeners"] += f",MUTUAL://{mutual}"
    lines["listener.security.protocol.map"] += ",MUTUAL:SSL"
    lines |= {
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": (
            f"{LOGIN}.oauthbearer.OAuthBearerLoginModule required;"
        ),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.truststore.type": "PEM",
        "listener.name.mutual.ssl.truststore.location": str(client.ca_file),
        "allow.everyone.if.no.acl.found": "true",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def make_topic_and_user(security: BrokerSecurity, bootstrap: str) -> None:
    client = consumer_lag.admin(security.connection(bootstrap))
    client.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(20)
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        info = ScramCredentialInfo(mechanism, 4096)
        change = UserScramCredentialUpsertion(SCRAM_USER, info, SECRET.encode())
        for answer in client.alter_user_scram_credentials([change]).values():
            answer.result(20)


def scram(mechanism: str, secret: str = SECRET) -> Callable[[Broker], dict[str, str]]:
    return lambda broker: {
        "KAFKA_BOOTSTRAP_SERVERS": broker.sasl,
        "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "PAYSTREAM_KAFKA_SASL_MECHANISM": mechanism,
        "PAYSTREAM_KAFKA_SASL_USERNAME": SCRAM_USER,
        "PAYSTREAM_KAFKA_SASL_PASSWORD": secret,
        "PAYSTREAM_KAFKA_SSL_CA_FILE": str(broker.server.ca_file),
    }


def tokens(broker: Broker) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.sasl,
        "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "PAYSTREAM_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "PAYSTREAM_KAFKA_OAUTH_TOKEN_URL": broker.token_url,
        "PAYSTREAM_KAFKA_OAUTH_CLIENT_ID": OAUTH_USER,
        "PAYSTREAM_KAFKA_OAUTH_CLIENT_SECRET": SECRET,
        "PAYSTREAM_KAFKA_SSL_CA_FILE": str(broker.server.ca_file),
    }


def certificate(broker: Broker) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": broker.mutual,
        "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SSL",
        "PAYSTREAM_KAFKA_SSL_CA_FILE": str(broker.server.ca_file),
        "PAYSTREAM_KAFKA_SSL_CERTIFICATE_FILE": str(broker.client.certificate_file),
        "PAYSTREAM_KAFKA_SSL_KEY_FILE": str(broker.client.key_file),
    }


WAYS = {
    "SCRAM-SHA-256": scram("SCRAM-SHA-256"),
    "SCRAM-SHA-512": scram("SCRAM-SHA-512"),
    "OAUTHBEARER": tokens,
    "certificate": certificate,
}


@pytest.mark.parametrize("way", WAYS)
async def test_both_kinds_of_client_are_let_in(broker: Broker, way: str) -> None:
    where = connections(WAYS[way](broker)).kafka
    assert TOPIC in consumer_lag.partitions(consumer_lag.admin(where))
    member = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=where.bootstrap_servers,
        group_id=f"member-{way}",
        **credentials_to_aiokafka_auth(faust_credentials(where.security)),
    )
    await member.start()
    try:
        assert member.assignment() or await member.topics() >= {TOPIC}
    finally:
        await member.stop()


@pytest.mark.parametrize(
    "refused",
    [
        scram("SCRAM-SHA-512", "another"),
        lambda broker: tokens(broker) | {"PAYSTREAM_KAFKA_OAUTH_CLIENT_SECRET": "another"},
        lambda broker: {
            name: value
            for name, value in certificate(broker).items()
            if "CERTIFICATE" not in name and "KEY" not in name
        },
    ],
    ids=["password", "client secret", "no certificate"],
)
def test_a_wrong_proof_is_refused(
    broker: Broker, refused: Callable[[Broker], dict[str, str]]
) -> None:
    where = connections(refused(broker)).kafka
    with pytest.raises(TopicUnreadable, match="does not answer"):
        consumer_lag.partitions(consumer_lag.admin(where))
