"""The secured broker: TLS, a user for each process, and an authorizer that refuses the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devstack.services.certificates import Certificates
from runtime.kafka_connection import KafkaConnection

BROKER = "broker"
"""The user of brokers and controllers among themselves."""
ADMIN = "admin"
"""Super user: makes topics and access lists at the start, nothing else."""
PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
LISTENER = "SASL_SSL"


@dataclass(frozen=True)
class BrokerSecurity:
    """`passwords`: user -> password, with BROKER and ADMIN among them."""

    certificates: Certificates
    passwords: Mapping[str, str] = field(repr=False)

    def connection(self, bootstrap_servers: str, user: str = ADMIN) -> KafkaConnection:
        """How the user connects."""
        return KafkaConnection(
            bootstrap_servers,
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN",
                "sasl.username": user,
                "sasl.password": self.passwords[user],
                "ssl.ca.location": str(self.certificates.ca_file),
            },
        )

    def properties(self) -> dict[str, object]:
        """Settings of each node, beside its addresses."""
        login = self._login()
        return {
            "listener.security.protocol.map": f"CONTROLLER:SASL_SSL,{LISTENER}:SASL_SSL",
            "inter.broker.listener.name": LISTENER,
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
            "listener.name.controller.plain.sasl.jaas.config": login,
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.keystore_file,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.ca_file,
            "authorizer.class.name": AUTHORIZER,
            "super.users": f"User:{BROKER};User:{ADMIN}",
            "allow.everyone.if.no.acl.found": "false",
        }

    def _login(self) -> str:
        own = f'username="{BROKER}" password="{self.passwords[BROKER]}"'
        users = (f'user_{name}="{password}"' for name, password in self.passwords.items())
        return f"{PLAIN_LOGIN} required {own} {' '.join(users)};"
