"""Settings of a process: defaults in the type, then a TOML file, then the environment.

A room declares a msgspec Struct; `load(Struct, "network", env)` takes table [network] of the file
that PAYSTREAM_CONFIG names and variables like PAYSTREAM_NETWORK_TIMEOUT_SECONDS, which win. Each
variable may also come from the file that `<NAME>_FILE` names. A name without a meaning is refused.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from runtime.environment import (
    SECTIONS,
    UnknownName,
    UnreadableSecret,
    check_section,
    check_table,
    check_variables,
    prefix_of,
    value_of,
)
from runtime.kafka_connection import KafkaConnection, KafkaSettings, WrongKafkaSetting
from runtime.store_connections import (
    ClickHouseConnection,
    ClickHouseSettings,
    ValkeyConnection,
    ValkeySettings,
    WrongStoreSetting,
    clickhouse_connection,
    valkey_connection,
)

S = TypeVar("S", bound=msgspec.Struct)


class ConfigurationError(Exception):
    """A setting is missing or is not of its type; the message names it and what it must be."""


def load(cls: type[S], section: str, env: Mapping[str, str]) -> S:
    """The settings of one section. Raises ConfigurationError."""
    names = [field.name for field in msgspec.structs.fields(cls)]
    try:
        check_section(section, names, env)
        table = config_file(env).get(section, {})
        check_table(f"[{section}] in PAYSTREAM_CONFIG", table, names)
        given = {name: value_of(prefix_of(section) + name.upper(), env) for name in names}
    except (UnknownName, UnreadableSecret) as error:
        raise ConfigurationError(str(error)) from error
    values = {**table, **{name: value for name, value in given.items() if value is not None}}
    try:
        return msgspec.convert(values, cls, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"A setting of [{section}] is not valid: {error}. Correct it."
        ) from error


def config_file(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The sections of the file that PAYSTREAM_CONFIG names. Raises ConfigurationError."""
    path = env.get("PAYSTREAM_CONFIG")
    if not path:
        return {}
    try:
        tables = tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"PAYSTREAM_CONFIG={path} cannot be read: {error}. Correct the file or its path."
        ) from error
    try:
        check_table(f"PAYSTREAM_CONFIG={path}", tables, SECTIONS)
    except UnknownName as error:
        raise ConfigurationError(str(error)) from error
    for section, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"In PAYSTREAM_CONFIG={path}, [{section}] is no table. Make it one."
            )
    return tables


class Connections(msgspec.Struct, frozen=True):
    """Where the parts are, and the secrets to reach them; empty if a process does not need it."""

    kafka_bootstrap_servers: str = ""
    """Brokers as `host:port,host:port`."""
    clickhouse_url: str = ""
    """The ledger's ClickHouse over HTTP, or `https://` for TLS, as a user who may write."""
    analyst_clickhouse_url: str = ""
    """ClickHouse as the read-only analyst, for the console and `paystream sql`."""
    redis_url: str = ""
    """Valkey or Redis: `redis://`, or `rediss://` for TLS."""
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
    api_ca_file: str = ""
    """PEM file with the API's CA, for commands that speak to it; empty takes the system's CAs."""
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
    health_host: str = "127.0.0.1"
    """Address on which a worker serves `HEALTH_PORT`; 0.0.0.0 where a probe comes from outside."""
    health_port: int = 0
    """Port of `/livez`, `/readyz` and `/metrics` of this process; 0 serves none."""
    kafka: KafkaConnection = KafkaConnection("")
    """KAFKA_BOOTSTRAP_SERVERS with section [kafka]."""
    clickhouse: ClickHouseConnection = ClickHouseConnection("")
    """CLICKHOUSE_URL with section [clickhouse]."""
    analyst: ClickHouseConnection = ClickHouseConnection("")
    """ANALYST_CLICKHOUSE_URL, or CLICKHOUSE_URL if that is not set, with section [clickhouse]."""
    valkey: ValkeyConnection = ValkeyConnection("")
    """REDIS_URL with section [valkey]."""

    def __repr__(self) -> str:
        """The names of what is set: values may be secrets."""
        return f"Connections({', '.join(name for name in VARIABLES if getattr(self, name))})"

    def need(self, *names: str) -> "Connections":
        """Itself, if all these are set. Raises ConfigurationError with the names of the missing."""
        if missing := [name.upper() for name in names if not getattr(self, name)]:
            raise ConfigurationError(
                f"{', '.join(missing)} must be set in the environment. In the local stack,"
                " `paystream up --env-file F` writes them and `set -a; . F; set +a` reads them."
            )
        return self


_MADE = ("kafka", "clickhouse", "analyst", "valkey")
VARIABLES = tuple(f.name for f in msgspec.structs.fields(Connections) if f.name not in _MADE)
"""Fields of `Connections` that are environment variables, in lower case."""


def connections(env: Mapping[str, str]) -> Connections:
    """The variables that all processes share, as values. Raises ConfigurationError."""
    try:
        check_variables(env)
        given = {name: value_of(name.upper(), env) for name in VARIABLES}
        found = msgspec.convert(
            {name: value for name, value in given.items() if value}, Connections, strict=False
        )
        return _with_clients(found, env)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"An environment variable is not valid: {error}. Correct it."
        ) from error
    except (UnknownName, UnreadableSecret, WrongKafkaSetting, WrongStoreSetting) as error:
        raise ConfigurationError(str(error)) from error


def _with_clients(found: Connections, env: Mapping[str, str]) -> Connections:
    security = load(KafkaSettings, "kafka", env).security()
    stores = load(ClickHouseSettings, "clickhouse", env)
    clickhouse = clickhouse_connection(found.clickhouse_url, stores)
    analyst = found.analyst_clickhouse_url
    return msgspec.structs.replace(
        found,
        kafka=KafkaConnection(found.kafka_bootstrap_servers, security),
        clickhouse=clickhouse,
        analyst=clickhouse_connection(analyst, stores, "ANALYST_CLICKHOUSE_URL")
        if analyst
        else clickhouse,
        valkey=valkey_connection(found.redis_url, load(ValkeySettings, "valkey", env)),
    )
