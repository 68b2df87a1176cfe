"""One broker with an authorizer: workers come with name and password, rights can be denied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from devstack.services import kafka, kafka_jars
from devstack.services.child import Child
from devstack.services.ports import LOOPBACK, PortBook, free_port

PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
WORKER = "worker"
PASSWORD = "only-for-this-test"


class GuardedBroker:
    """`bootstrap` asks for no name and may do all (the test); `guarded` is for the worker."""

    def __init__(self, directory: Path) -> None:
        kafka_jars.fetch()
        cluster = kafka.prepare(directory, PortBook(directory / "ports.json"), directory, 1)
        node = cluster.nodes[0]
        self.bootstrap = node.bootstrap
        self.guarded = f"{LOOPBACK}:{free_port()}"
        node.config_path.write_text(self._guard(node.config_path.read_text()))
        self._child = Child(cluster.launches[0])
        self._child.wait_ready()
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap})
        every = (ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID)
        allow = (f"User:{WORKER}", "*", AclOperation.ALL, AclPermissionType.ALLOW)
        rules = [AclBinding(kind, "*", ResourcePatternType.LITERAL, *allow) for kind in every]
        for answer in self._admin.create_acls(rules).values():
            answer.result(20)

    @property
    def worker_settings(self) -> dict[str, Any]:
        """librdkafka's names, as an operator writes them into `engine.extra`."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": WORKER,
            "sasl.password": PASSWORD,
        }

    @contextmanager
    def denied(self, kind: ResourceType, name: str, operation: AclOperation) -> Iterator[None]:
        """The worker may not do this while the `with` lasts."""
        everywhere, deny = "*", AclPermissionType.DENY
        who = f"User:{WORKER}"
        rule = (kind, name, ResourcePatternType.LITERAL, who, everywhere, operation, deny)
        for answer in self._admin.create_acls([AclBinding(*rule)]).values():
            answer.result(20)
        yield
        for answer in self._admin.delete_acls([AclBindingFilter(*rule)]).values():
            assert len(answer.result(20)) == 1

    def stop(self) -> None:
        self._child.kill_group()

    def _guard(self, properties: str) -> str:
        """A second listener that asks who it is."""
        lines = dict(line.split("=", 1) for line in properties.splitlines())
        lines["listeners"] += f",GUARDED://{self.guarded}"
        lines["advertised.listeners"] += f",GUARDED://{self.guarded}"
        lines["listener.security.protocol.map"] += ",GUARDED:SASL_PLAINTEXT"
        login = f'{PLAIN_LOGIN} required user_{WORKER}="{PASSWORD}";'
        lines |= {
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.guarded.plain.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
        }
        return "".join(f"{name}={value}\n" for name, value in lines.items())
