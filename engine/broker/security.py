"""One set of security settings for both Kafka clients of a worker.

Operators write librdkafka's names (`EngineSettings.extra`); the group member is aiokafka and gets
the same through Faust's credentials.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from engine.broker.oauth import ClientCredentialsTokens

OAUTHBEARER = "OAUTHBEARER"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", OAUTHBEARER)
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def faust_credentials(extra: Mapping[str, Any]) -> Any:
    """Faust's `broker_credentials` for librdkafka's settings; None for plain text.

    Raises ValueError, naming what the group member cannot do or what is missing.
    """
    protocol = str(extra.get("security.protocol", "PLAINTEXT")).upper()
    if protocol not in PROTOCOLS:
        raise ValueError(f"security.protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    context = _tls(extra) if protocol.endswith("SSL") else None
    if protocol == "SSL":
        return SSLCredentials(context)
    return _sasl(extra, context) if protocol.startswith("SASL") else None


def _sasl(extra: Mapping[str, Any], context: ssl.SSLContext | None) -> Any:
    mechanism = extra.get("sasl.mechanism", extra.get("sasl.mechanisms", "GSSAPI"))
    if mechanism not in MECHANISMS:
        raise ValueError(
            f"sasl.mechanism {mechanism!r} does not work for the group member: choose one of "
            f"{', '.join(MECHANISMS)}"
        )
    if mechanism == OAUTHBEARER:
        return OAuthCredentials(oauth_cb=ClientCredentialsTokens(extra), ssl_context=context)
    missing = [name for name in ("sasl.username", "sasl.password") if not extra.get(name)]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be set with sasl.mechanism {mechanism}")
    return SASLCredentials(
        username=extra["sasl.username"],
        password=extra["sasl.password"],
        mechanism=mechanism,
        ssl_context=context,
    )


def _tls(extra: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=extra.get("ssl.ca.location"))
    if certificate := extra.get("ssl.certificate.location"):
        key, password = extra.get("ssl.key.location"), extra.get("ssl.key.password")
        context.load_cert_chain(certificate, key, password)
    verify = str(extra.get("enable.ssl.certificate.verification", True)).lower() != "false"
    names = extra.get("ssl.endpoint.identification.algorithm", "https") != "none"
    context.check_hostname = verify and names
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    return context
