"""The one way to connect to Valkey."""

import ssl
from typing import Any

import redis
import redis.asyncio

from runtime.store_connections import ValkeyConnection


def connect(where: ValkeyConnection, timeout_seconds: float) -> redis.Redis:
    """A client; each command and each connection has the timeout."""
    return redis.Redis.from_url(where.url, **_options(where, timeout_seconds))


def connect_async(where: ValkeyConnection, timeout_seconds: float) -> redis.asyncio.Redis:
    """The same for an event loop."""
    return redis.asyncio.Redis.from_url(where.url, **_options(where, timeout_seconds))


def _options(where: ValkeyConnection, timeout_seconds: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
    }
    if where.secure:
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        options |= {"ssl_min_version": ssl.TLSVersion.TLSv1_2}
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password")
        options |= {name: value for name, value in zip(names, where.tls, strict=True) if value}
    return options
