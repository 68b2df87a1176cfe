"""Where the brokers are and how a client proves itself: section [kafka], PAYSTREAM_KAFKA_*."""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from runtime.tls import TlsFiles, WrongTlsFile

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
OAUTHBEARER = "OAUTHBEARER"
MECHANISMS = (*PASSWORD_MECHANISMS, OAUTHBEARER)


class WrongKafkaSetting(ValueError):
    """A setting of [kafka] has no meaning, or one that it needs is missing; a sentence."""


@dataclass(frozen=True)
class KafkaConnection:
    """What every Kafka client of a process is made from; `repr` shows no secret.

    `security`: librdkafka's settings, empty for plain text.
    """

    bootstrap_servers: str
    security: Mapping[str, str] = field(default_factory=dict, repr=False)


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients speak to the brokers; section [kafka], PAYSTREAM_KAFKA_*."""

    security_protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. PLAINTEXT is for one machine only."""
    sasl_mechanism: str = ""
    """PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; needed with SASL_*."""
    sasl_username: str = ""
    """The process's own user: its rights are those of `paystream acls`."""
    sasl_password: str = ""
    """A secret: give it by PAYSTREAM_KAFKA_SASL_PASSWORD."""
    oauth_token_url: str = ""
    """OAUTHBEARER: where the client gets its tokens (client credentials, RFC 6749 4.4)."""
    oauth_client_id: str = ""
    """OAUTHBEARER: the client's name at the token endpoint."""
    oauth_client_secret: str = ""
    """OAUTHBEARER, a secret: give it by PAYSTREAM_KAFKA_OAUTH_CLIENT_SECRET."""
    oauth_scope: str = ""
    """OAUTHBEARER: the scope to ask for. Optional."""
    ssl_ca_file: str = ""
    """PEM file with the CA of the brokers; empty takes the system's CAs."""
    ssl_certificate_file: str = ""
    """PEM file with the client's certificate, for mutual TLS."""
    ssl_key_file: str = ""
    """PEM file with that certificate's private key."""
    ssl_key_password: str = ""
    """A secret, if the key file is encrypted: give it by PAYSTREAM_KAFKA_SSL_KEY_PASSWORD."""

    def security(self) -> dict[str, str]:
        """librdkafka's settings. Raises WrongKafkaSetting."""
        _one_of("security_protocol", self.security_protocol, PROTOCOLS)
        found: dict[str, str] = {}
        if self.security_protocol != "PLAINTEXT":
            found["security.protocol"] = self.security_protocol
        if self.security_protocol.startswith("SASL"):
            found |= self._sasl()
        elif self.sasl_mechanism:
            raise WrongKafkaSetting(
                f"[kafka] sasl_mechanism is set, but security_protocol is {self.security_protocol}."
                " Set security_protocol to SASL_SSL."
            )
        return found | dict(self._tls())

    def _sasl(self) -> dict[str, str]:
        _one_of("sasl_mechanism", self.sasl_mechanism, MECHANISMS)
        if self.sasl_mechanism != OAUTHBEARER:
            self._need("sasl_username", "sasl_password")
            return {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self.sasl_password,
            }
        self._need("oauth_token_url", "oauth_client_id", "oauth_client_secret")
        scope = {"sasl.oauthbearer.scope": self.oauth_scope} if self.oauth_scope else {}
        return scope | {
            "sasl.mechanism": OAUTHBEARER,
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.oauth_token_url,
            "sasl.oauthbearer.client.id": self.oauth_client_id,
            "sasl.oauthbearer.client.secret": self.oauth_client_secret,
        }

    def _tls(self) -> Iterator[tuple[str, str]]:
        files = TlsFiles(
            self.ssl_ca_file, self.ssl_certificate_file, self.ssl_key_file, self.ssl_key_password
        )
        if not self.security_protocol.endswith("SSL"):
            if any(files):
                raise WrongKafkaSetting(
                    f"[kafka] has files for TLS, but security_protocol is {self.security_protocol}."
                    " Set it to SSL or SASL_SSL."
                )
            return
        try:
            files.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        except WrongTlsFile as error:
            raise WrongKafkaSetting(f"[kafka] {error}") from error
        names = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
        for name, value in zip((*names, "ssl.key.password"), files, strict=True):
            if value:
                yield name, value

    def _need(self, *names: str) -> None:
        if missing := [name for name in names if not getattr(self, name)]:
            raise WrongKafkaSetting(
                f"[kafka] sasl_mechanism {self.sasl_mechanism} needs {' and '.join(missing)}."
                f" Set {', '.join(f'PAYSTREAM_KAFKA_{name.upper()}' for name in missing)}."
            )


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise WrongKafkaSetting(f"[kafka] {name} is {value!r}. Choose one of {', '.join(choices)}.")
