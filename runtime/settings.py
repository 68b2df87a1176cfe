"""Settings of a process: defaults in the type, then a TOML file, then the environment.

A room declares a msgspec Struct; `load(Struct, "network", env)` takes table [network] of the file
that PAYSTREAM_CONFIG names and variables like PAYSTREAM_NETWORK_TIMEOUT_SECONDS, which win.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from runtime.kafka_connection import KafkaConnection, KafkaSettings, WrongKafkaSetting

S = TypeVar("S", bound=msgspec.Struct)


class ConfigurationError(Exception):
    """A setting is missing or is not of its type; the message names it and what it must be."""


def load(cls: type[S], section: str, env: Mapping[str, str]) -> S:
    """The settings of one section. Raises ConfigurationError."""
    values = {**_from_file(section, env), **_from_environment(cls, section, env)}
    try:
        return msgspec.convert(values, cls, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"A setting of [{section}] is not valid: {error}. Correct it."
        ) from error


def _from_file(section: str, env: Mapping[str, str]) -> dict[str, Any]:
    path = env.get("PAYSTREAM_CONFIG")
    if not path:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text()).get(section, {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"PAYSTREAM_CONFIG={path} cannot be read: {error}. Correct the file or its path."
        ) from error
    if not isinstance(table, dict):
        raise ConfigurationError(
            f"In PAYSTREAM_CONFIG={path}, [{section}] is no table. Make it one."
        )
    return table


def _from_environment(cls: type[S], section: str, env: Mapping[str, str]) -> dict[str, str]:
    prefix = f"PAYSTREAM_{section.upper()}_"
    names = (f.name for f in msgspec.structs.fields(cls))
    return {name: env[prefix + name.upper()] for name in names if prefix + name.upper() in env}


class Connections(msgspec.Struct, frozen=True):
    """Where the parts are, and the secrets to reach them; empty if a process does not need it."""

    kafka_bootstrap_servers: str = ""
    """Brokers as `host:port,host:port`."""
    clickhouse_url: str = ""
    """The ledger's ClickHouse over HTTP, as a user who may write."""
    redis_url: str = ""
    """Valkey or Redis."""
    network_url: str = ""
    """The card network."""
    network_fallback_url: str = ""
    """A second card network for authorizations that were never sent to the first. Optional."""
    bank_url: str = ""
    """The bank that pays merchants."""
    receiver_url: str = ""
    """The webhook receiver of the local stack. Not used in production."""
    api_url: str = ""
    """The HTTP API, for commands that speak to it."""
    console_url: str = ""
    """The console, for people."""
    admin_token: str = ""
    """Bearer token that registers merchants."""
    paystream_master_key: str = ""
    """32 random bytes in base64; encrypts merchants' signing secrets."""
    network_notification_secret: str = ""
    """Verifies the card network's notifications."""
    paystream_state_dir: str = ""
    """Directory for local files: instance locks, chain keys, logs of the local stack."""
    health_port: int = 0
    """Port of `/livez`, `/readyz` and `/metrics` of this process; 0 serves none."""
    kafka: KafkaConnection = KafkaConnection("")
    """Made of KAFKA_BOOTSTRAP_SERVERS and section [kafka]."""

    def need(self, *names: str) -> "Connections":
        """Itself, if all these are set. Raises ConfigurationError with the names of the missing."""
        if missing := [name.upper() for name in names if not getattr(self, name)]:
            raise ConfigurationError(
                f"{', '.join(missing)} must be set in the environment. In the local stack,"
                " `paystream up --env-file F` writes them and `set -a; . F; set +a` reads them."
            )
        return self


VARIABLES = tuple(f.name for f in msgspec.structs.fields(Connections) if f.name != "kafka")
"""Fields of `Connections` that are environment variables, in lower case."""


def connections(env: Mapping[str, str]) -> Connections:
    """The variables that all processes share, as values. Raises ConfigurationError."""
    values = {name: env[name.upper()] for name in VARIABLES if env.get(name.upper())}
    try:
        found = msgspec.convert(values, Connections, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"An environment variable is not valid: {error}. Correct it."
        ) from error
    return msgspec.structs.replace(found, kafka=_kafka(found.kafka_bootstrap_servers, env))


def _kafka(bootstrap_servers: str, env: Mapping[str, str]) -> KafkaConnection:
    try:
        return KafkaConnection(bootstrap_servers, load(KafkaSettings, "kafka", env).security())
    except WrongKafkaSetting as error:
        raise ConfigurationError(str(error)) from error
