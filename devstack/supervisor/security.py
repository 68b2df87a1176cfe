"""`paystream up --secure`: certificates, users and passwords, kept in the state directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devstack.services.certificates import Certificates, certificates_in
from devstack.services.kafka_security import ADMIN, BROKER, BrokerSecurity
from devstack.supervisor.state_dir import StateDir
from paystream.operations.access import API, CONSOLE, OPERATORS, PRINCIPALS

_OWNER = "PAYSTREAM_CLICKHOUSE_PASSWORD"
_ANALYST = "PAYSTREAM_CLICKHOUSE_ANALYST_PASSWORD"
_VALKEY = "PAYSTREAM_VALKEY_PASSWORD"
_KAFKA = "PAYSTREAM_KAFKA_SASL_PASSWORD"
_STORES_OF: Mapping[str, tuple[str, ...]] = {
    "streams-network": (_OWNER,),
    "sinks-audit": (_OWNER,),
    "sinks-status": (_VALKEY,),
    API: (_VALKEY,),
    CONSOLE: (_ANALYST,),
    OPERATORS: (_OWNER, _ANALYST, _VALKEY),
}
"""Which stores' passwords a process gets; the rest have none."""


class StackSecurity:
    """Makes what is missing at the first use; the same directory keeps its passwords."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self.certificates: Certificates = certificates_in(state.path / "tls")
        users = (*PRINCIPALS, ADMIN, BROKER)
        passwords = {user: state.secret(f"kafka-{user}") for user in users}
        self.broker = BrokerSecurity(self.certificates, passwords)
        self.clickhouse = state.secret("clickhouse")
        self.clickhouse_analyst = state.secret("clickhouse-analyst")
        self.valkey = state.secret("valkey")

    def everybody(self) -> dict[str, str]:
        """Variables of all our processes and of the env file; none is a secret.

        `SSL_CERT_FILE` is what other HTTP clients, curl among them, trust instead of the system's.
        """
        ca_file = str(self.certificates.ca_file)
        return {
            "PAYSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "PAYSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
            "PAYSTREAM_KAFKA_SSL_CA_FILE": ca_file,
            "PAYSTREAM_CLICKHOUSE_SSL_CA_FILE": ca_file,
            "PAYSTREAM_VALKEY_SSL_CA_FILE": ca_file,
            "API_CA_FILE": ca_file,
            "SSL_CERT_FILE": ca_file,
        }

    def of(self, user: str) -> dict[str, str]:
        """Who the process is on Kafka, and the files of the passwords that it needs."""
        files = {name: self._file(name) for name in _STORES_OF.get(user, ())}
        return {
            **self.everybody(),
            "PAYSTREAM_KAFKA_SASL_USERNAME": user,
            f"{_KAFKA}_FILE": str(self._secret_path(f"kafka-{user}")),
            **{f"{name}_FILE": str(path) for name, path in files.items()},
        }

    def api_server(self) -> dict[str, str]:
        """Settings by which the API serves TLS."""
        return {
            "PAYSTREAM_API_SSL_CERTIFICATE_FILE": str(self.certificates.certificate_file),
            "PAYSTREAM_API_SSL_KEY_FILE": str(self.certificates.key_file),
        }

    def clickhouse_server(self) -> dict[str, str]:
        """Variables of the process that stands in for ClickHouse."""
        return {
            "CLICKHOUSE_PASSWORD": self.clickhouse,
            "CLICKHOUSE_ANALYST_PASSWORD": self.clickhouse_analyst,
        }

    def _file(self, variable: str) -> Path:
        names = {_OWNER: "clickhouse", _ANALYST: "clickhouse-analyst", _VALKEY: "valkey"}
        return self._secret_path(names[variable])

    def _secret_path(self, name: str) -> Path:
        return self._state.path / "secrets" / name
