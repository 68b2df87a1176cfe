"""Puts the rights of `access` on a cluster as Kafka ACLs, and compares what is there."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from paystream.operations.access import PRODUCERS, Right, rights
from runtime.consumer_lag import admin
from runtime.kafka_connection import KafkaConnection
from schemas.topics import TOPICS

_TIMEOUT_SECONDS = 30.0
_AGAIN_SECONDS = 0.1
_REFUSED = (
    "This user may not read or change access lists. Use a super user, or one with Describe and"
    " Alter on the cluster."
)
_FLAGS = {"TOPIC": "--topic", "GROUP": "--group", "TRANSACTIONAL_ID": "--transactional-id"}
_CHANGES = ("WRITE", "ALL", "DELETE", "ALTER", "ALTER_CONFIGS", "CREATE")


class AclsUnavailable(Exception):
    """The cluster has no authorizer, does not answer or refuses; a sentence."""


class Acl(NamedTuple):
    """One line of a cluster's access list, in Kafka's words."""

    principal: str
    resource: str
    name: str
    pattern: str
    operation: str
    permission: str = "ALLOW"
    host: str = "*"


class Comparison(NamedTuple):
    """`missing` is needed and not there. `surplus` is there and not needed: a right of one of our
    users, or one by which somebody else could change one of our topics.
    """

    missing: list[Acl]
    surplus: list[Acl]


def wanted(prefix: str = "", producers: Iterable[str] = ()) -> list[Acl]:
    """What the product needs; `prefix` stands before each user's name."""
    users = tuple(producers) or (PRODUCERS,)
    return [acl_of(right, prefix) for right in rights(producers=users)]


def acl_of(right: Right, prefix: str = "") -> Acl:
    """The right as Kafka has it."""
    pattern = "PREFIXED" if right.prefixed else "LITERAL"
    name = f"User:{prefix}{right.principal}"
    return Acl(name, right.resource, right.name, pattern, right.operation)


def as_command(acl: Acl) -> str:
    """A line for a shell, with Kafka's own tool."""
    parts = [
        'kafka-acls --bootstrap-server "$KAFKA_BOOTSTRAP_SERVERS" --add',
        f"--allow-principal {acl.principal}",
        f"--operation {acl.operation.title().replace('_', '')}",
        f"{_FLAGS[acl.resource]} {acl.name}",
        *(["--resource-pattern-type prefixed"] if acl.pattern == "PREFIXED" else []),
    ]
    return " ".join(parts)


def apply(kafka: KafkaConnection, acls: Iterable[Acl]) -> list[Acl]:
    """Add those that are missing and return them when the broker shows them; removes nothing.

    Raises AclsUnavailable.
    """
    missing = compare(kafka, acls).missing
    if missing:
        client = admin(kafka)  # must live until the requests are answered
        bindings = [_binding(acl) for acl in missing]
        asked = client.create_acls(bindings, request_timeout=_TIMEOUT_SECONDS)
        for answer in asked.values():
            _result(kafka, answer)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while compare(kafka, missing).missing:  # a broker hears of them from the controller
        if time.monotonic() > deadline:
            raise AclsUnavailable("The brokers do not show the new rights. Check their logs.")
        time.sleep(_AGAIN_SECONDS)
    return missing


def compare(kafka: KafkaConnection, acls: Iterable[Acl]) -> Comparison:
    """Beside what the cluster has. Raises AclsUnavailable."""
    needed = list(acls)
    there = existing(kafka)
    known = {acl.principal for acl in needed}
    surplus = there - set(needed)
    return Comparison(
        [acl for acl in needed if acl not in there],
        sorted(acl for acl in surplus if acl.principal in known or _changes_a_topic(acl)),
    )


def existing(kafka: KafkaConnection) -> set[Acl]:
    """Every line of the cluster's access list. Raises AclsUnavailable."""
    every = AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        None,
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    client = admin(kafka)  # as above
    found = _result(kafka, client.describe_acls(every, request_timeout=_TIMEOUT_SECONDS))
    if not found:
        _check_rights(kafka, client)
    return {
        Acl(
            acl.principal,
            acl.restype.name,
            acl.name,
            acl.resource_pattern_type.name,
            acl.operation.name,
            acl.permission_type.name,
            acl.host,
        )
        for acl in found
    }


def _check_rights(kafka: KafkaConnection, client: AdminClient) -> None:
    """librdkafka hears a refusal to describe access lists as an empty list."""
    asked = client.describe_cluster(
        include_authorized_operations=True, request_timeout=_TIMEOUT_SECONDS
    )
    try:
        allowed = asked.result(_TIMEOUT_SECONDS).authorized_operations
    except (KafkaException, TimeoutError) as error:
        raise AclsUnavailable(_reason(kafka, error)) from error
    if AclOperation.DESCRIBE not in (allowed or ()):
        raise AclsUnavailable(_REFUSED)


def _changes_a_topic(acl: Acl) -> bool:
    if acl.resource != "TOPIC" or acl.permission != "ALLOW" or acl.operation not in _CHANGES:
        return False
    if acl.pattern == "LITERAL":
        return acl.name == "*" or acl.name in TOPICS
    return any(topic.startswith(acl.name) for topic in TOPICS)


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(
        ResourceType[acl.resource],
        acl.name,
        ResourcePatternType[acl.pattern],
        acl.principal,
        acl.host,
        AclOperation[acl.operation],
        AclPermissionType[acl.permission],
    )


def _result(kafka: KafkaConnection, answer: "object") -> "list[AclBinding]":
    try:
        found = answer.result(_TIMEOUT_SECONDS)  # type: ignore[attr-defined] # untyped library
    except (KafkaException, TimeoutError) as error:
        raise AclsUnavailable(_reason(kafka, error)) from error
    return list(found or ())


def _reason(kafka: KafkaConnection, error: Exception) -> str:
    cause = error.args[0] if isinstance(error, KafkaException) else None
    if cause is not None and cause.code() == KafkaError.SECURITY_DISABLED:
        return (
            "The brokers have no authorizer, so nobody is refused anything. Set"
            " authorizer.class.name on each broker and controller."
        )
    if cause is not None and cause.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return _REFUSED
    reason = cause.str() if cause is not None else "no answer in time"
    return f"{kafka.bootstrap_servers} does not answer ({reason}). Check the brokers."
