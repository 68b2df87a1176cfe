"""A broker with TLS, users and an authorizer: each kind of client works, each attack is refused."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from devstack.services import kafka, kafka_jars
from devstack.services.certificates import Certificates, certificates_in
from devstack.services.kafka_security import ADMIN, BROKER, BrokerSecurity
from engine import EngineSettings, TopicPartition
from engine.broker.clients import ClientConfig
from engine.transactions.hanging_transactions import abort_hanging_transaction
from paystream.operations import acls, topics
from paystream.operations.access import GROUPS, PRINCIPALS
from paystream.operations.acls import Acl
from paystream.rebuild.log_reader import LogReader
from paystream.verify.live import LiveSources
from runtime import consumer_lag
from runtime.kafka import (
    TopicUnreadable,
    consumer_settings,
    partitions_of,
    producer_settings,
    read_topic,
)
from runtime.kafka_connection import KafkaConnection
from runtime.merchant_registry import MerchantRegistry
from schemas.topics import (
    LEDGER_CHECKPOINTS,
    MERCHANTS,
    PAYMENTS_COMMANDS,
    PAYMENTS_EVENTS,
    PAYMENTS_NETWORK_RESULTS,
    PAYMENTS_PRODUCER_COMMANDS,
    PAYMENTS_SETTLEMENTS,
    TOPICS,
)

pytestmark = pytest.mark.services
PARTITIONS = 2


class SecuredBroker:
    """A running broker; `as_user` gives the connection of one of its users."""

    def __init__(self, bootstrap_servers: str, security: BrokerSecurity) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.security = security
        self.admin = security.connection(bootstrap_servers, ADMIN)

    def as_user(self, user: str) -> KafkaConnection:
        return self.security.connection(self.bootstrap_servers, user)

    def environment(self, user: str, directory: Path) -> dict[str, str]:
        """As an operator sets it, with the password in a file."""
        secret = directory / f"{user}.secret"
        secret.write_text(self.security.passwords[user] + "\n")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "PAYSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
            "PAYSTREAM_KAFKA_SASL_USERNAME": user,
            "PAYSTREAM_KAFKA_SASL_PASSWORD_FILE": str(secret),
            "PAYSTREAM_KAFKA_SSL_CA_FILE": str(self.security.certificates.ca_file),
        }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    kafka_jars.fetch()
    directory = tmp_path_factory.mktemp("secured")
    passwords = {user: secrets.token_urlsafe(24) for user in (*PRINCIPALS, ADMIN, BROKER)}
    security = BrokerSecurity(certificates_in(directory / "tls"), passwords)
    cluster, children = kafka.start_in(directory / "kafka", security=security)
    try:
        found = SecuredBroker(cluster.bootstrap_servers, security)
        topics.create_all(found.admin, partitions=PARTITIONS)
        acls.apply(found.admin, acls.wanted())
        yield found
    finally:
        for child in children:
            child.kill_group()


def sent(where: KafkaConnection, topic: str) -> KafkaError | None:
    """What the broker says to one record; None: it took it."""
    answers: list[KafkaError | None] = []

    def answered(error: KafkaError | None, _: Message) -> None:
        answers.append(error)

    producer = Producer(producer_settings(where) | {"log_level": 0, "delivery.timeout.ms": 20_000})
    try:
        producer.produce(topic, b"value", b"key", on_delivery=answered)
        producer.flush(30)
    except KafkaException as error:  # who may write nothing gets no producer id either
        return cast(KafkaError, error.args[0])
    [answer] = answers
    return answer


def remove(where: KafkaConnection, unwanted: list[Acl]) -> None:
    client = consumer_lag.admin(where)
    filters = [
        AclBindingFilter(
            ResourceType.TOPIC,
            acl.name,
            ResourcePatternType[acl.pattern],
            acl.principal,
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for acl in unwanted
    ]
    for answer in client.delete_acls(filters).values():
        answer.result(20)


# -- each kind of client


def test_the_access_list_of_the_cluster_is_exactly_the_derived_one(broker: SecuredBroker) -> None:
    assert acls.compare(broker.admin, acls.wanted()) == ([], [])
    assert acls.apply(broker.admin, acls.wanted()) == []


def test_a_right_that_nobody_needs_is_found(broker: SecuredBroker) -> None:
    mallory = Acl("User:mallory", "TOPIC", PAYMENTS_NETWORK_RESULTS, "LITERAL", "WRITE")
    ours = Acl("User:verify", "TOPIC", "payments.", "PREFIXED", "WRITE")
    reader = Acl("User:warehouse", "TOPIC", PAYMENTS_EVENTS, "LITERAL", "READ")
    acls.apply(broker.admin, [mallory, ours, reader])
    try:
        found = acls.compare(broker.admin, acls.wanted())
        assert found.missing == []
        assert found.surplus == [mallory, ours]
        more = acls.wanted("shop-")
        assert acls.compare(broker.admin, more).missing == more
    finally:
        remove(broker.admin, [mallory, ours, reader])


def test_an_access_list_is_for_administrators(broker: SecuredBroker) -> None:
    with pytest.raises(acls.AclsUnavailable, match="may not read or change access lists"):
        acls.existing(broker.as_user("operators"))
    with pytest.raises(acls.AclsUnavailable, match="may not read or change access lists"):
        acls.apply(broker.as_user("operators"), acls.wanted())


def test_without_an_authorizer_that_is_said(kafka_broker: str) -> None:
    with pytest.raises(acls.AclsUnavailable, match="brokers have no authorizer"):
        acls.apply(KafkaConnection(kafka_broker), acls.wanted())


@pytest.mark.parametrize("group", ["ingest_api", "sinks-webhooks", "sinks-payouts"])
def test_the_merchant_registry_reads(broker: SecuredBroker, group: str) -> None:
    name = f"{group.replace('_', '-')}-0-registry"
    registry = MerchantRegistry(broker.as_user(group), name).start()
    try:
        assert registry.wait_ready(20)
    finally:
        registry.stop()


def test_readers_lags_and_the_rebuild_work_for_operators(broker: SecuredBroker) -> None:
    operators = broker.as_user("operators")
    assert len(partitions_of(operators, PAYMENTS_EVENTS)) == PARTITIONS
    assert list(read_topic(operators, PAYMENTS_COMMANDS)) is not None
    assert {at.group for at in consumer_lag.positions(operators, GROUPS)} <= set(GROUPS)
    LogReader(operators, [PAYMENTS_EVENTS]).close()


@pytest.mark.parametrize("user", ["verify", "operators"])
def test_verify_reads_every_topic(broker: SecuredBroker, user: str, tmp_path: Path) -> None:
    sources = LiveSources(broker.environment(user, tmp_path))
    assert set(sources.topics()) >= set(TOPICS)
    for topic in TOPICS:
        assert len(list(sources.records(topic))) >= 0
        assert len(sources.log_starts(topic)) == PARTITIONS


def test_the_console_sees_lags_and_no_records(broker: SecuredBroker) -> None:
    console = broker.as_user("console")
    assert consumer_lag.positions(console, GROUPS)
    with pytest.raises(TopicUnreadable, match="authorization failed"):
        list(read_topic(console, PAYMENTS_EVENTS))


@pytest.mark.parametrize("command", [("topics", "create"), ("topics", "list"), ("dead-letters",)])
def test_the_command_line_works_for_operators(
    broker: SecuredBroker, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paystream.cli", *command, "--json"],
        env={**os.environ, **broker.environment("operators", tmp_path)},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


# -- who is refused


def test_a_wrong_password_is_refused(broker: SecuredBroker) -> None:
    right = broker.as_user("verify")
    wrong = KafkaConnection(right.bootstrap_servers, {**right.security, "sasl.password": "another"})
    with pytest.raises(TopicUnreadable, match="cannot be read"):
        list(read_topic(wrong, PAYMENTS_EVENTS))


def test_an_unknown_ca_is_refused(broker: SecuredBroker, tmp_path: Path) -> None:
    stranger: Certificates = certificates_in(tmp_path)
    right = broker.as_user("verify")
    wrong = KafkaConnection(
        right.bootstrap_servers,
        {**right.security, "ssl.ca.location": str(stranger.ca_file)},
    )
    with pytest.raises(TopicUnreadable, match="cannot be read"):
        list(read_topic(wrong, PAYMENTS_EVENTS))


def test_plain_text_is_refused(broker: SecuredBroker) -> None:
    with pytest.raises(TopicUnreadable, match="cannot be read"):
        list(read_topic(KafkaConnection(broker.bootstrap_servers), PAYMENTS_EVENTS))


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("sinks-audit", PAYMENTS_COMMANDS),
        ("sinks-audit", PAYMENTS_EVENTS),
        ("producers", PAYMENTS_NETWORK_RESULTS),
        ("producers", PAYMENTS_COMMANDS),
        ("producers", PAYMENTS_SETTLEMENTS),
        ("ingest_api", PAYMENTS_NETWORK_RESULTS),
        ("ingest_api", MERCHANTS),
        ("streams-network", PAYMENTS_SETTLEMENTS),
        ("sinks-reconciliation", PAYMENTS_NETWORK_RESULTS),
        ("analysts", PAYMENTS_EVENTS),
        ("verify", PAYMENTS_COMMANDS),
        ("console", PAYMENTS_COMMANDS),
        ("operators", PAYMENTS_NETWORK_RESULTS),
    ],
)
def test_nobody_writes_what_another_says(broker: SecuredBroker, user: str, topic: str) -> None:
    error = sent(broker.as_user(user), topic)
    assert error is not None
    assert error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    )


@pytest.mark.parametrize(
    ("user", "topic"),
    [("producers", PAYMENTS_PRODUCER_COMMANDS), ("ingest_api", PAYMENTS_COMMANDS)],
)
def test_each_writes_its_own(broker: SecuredBroker, user: str, topic: str) -> None:
    assert sent(broker.as_user(user), topic) is None


def test_an_analyst_reads_events_in_a_group_of_its_own_and_nothing_else(
    broker: SecuredBroker,
) -> None:
    analyst = broker.as_user("analysts")
    assert list(read_topic(analyst, PAYMENTS_EVENTS)) is not None
    for topic in (MERCHANTS, PAYMENTS_COMMANDS):
        with pytest.raises(TopicUnreadable, match="authorization failed"):
            list(read_topic(analyst, topic))
    assert joined(analyst, "analysts-report") is None
    assert joined(analyst, "sinks-audit") == KafkaError.GROUP_AUTHORIZATION_FAILED


def joined(where: KafkaConnection, group: str) -> int | None:
    """What the broker says to a member of the group; None: it has partitions."""
    assigned: list[object] = []
    consumer = Consumer(consumer_settings(where, group) | {"log_level": 0})
    consumer.subscribe([PAYMENTS_EVENTS], on_assign=lambda *_: assigned.append(1))
    try:
        for _ in range(200):
            message = consumer.poll(0.1)
            if assigned:
                return None
            if message is not None and message.error() is not None:
                return int(message.error().code())
    finally:
        consumer.close()
    pytest.fail("no answer about the group")


def test_a_worker_cannot_fence_another(broker: SecuredBroker) -> None:
    mine = producer_settings(broker.as_user("sinks-audit")) | {"log_level": 0}
    Producer(mine | {"transactional.id": "sinks-audit-0"}).init_transactions(20)
    with pytest.raises(KafkaException) as caught:
        Producer(mine | {"transactional.id": "streams-payments-0"}).init_transactions(20)
    assert caught.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_a_worker_ends_its_hanging_transaction_beside_those_of_others(
    broker: SecuredBroker,
) -> None:
    """It may read the topic where another's transaction is open, and not write there."""
    # The group's coordinator exists, as on any cluster that has something to end.
    consumer_lag.committed(broker.as_user("sinks-audit"), "sinks-audit", [(PAYMENTS_EVENTS, 0)])
    open_ones = [
        left_open(broker, "streams-payments", PAYMENTS_EVENTS),
        left_open(broker, "sinks-audit", LEDGER_CHECKPOINTS),
    ]
    try:
        settings = EngineSettings(extra=broker.as_user("sinks-audit").security)
        config = ClientConfig("sinks-audit", "0", broker.bootstrap_servers, settings)
        source = TopicPartition(PAYMENTS_EVENTS, 0)
        assert abort_hanging_transaction(config, "sinks-audit-0", [source])
    finally:
        for each in open_ones:
            each.abort_transaction(20)


def left_open(broker: SecuredBroker, user: str, topic: str) -> Producer:
    """A transaction of the user with one record."""
    settings = producer_settings(broker.as_user(user)) | {"log_level": 0}
    producer = Producer(settings | {"transactional.id": f"{user}-9"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"open", b"key", partition=0)
    producer.flush(20)
    return producer
