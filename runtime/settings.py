"""Settings of a process: defaults in the type, then a TOML file, then the environment.

A room declares a msgspec Struct; `load(Struct, "network", env)` takes table [network] of the file
that PAYSTREAM_CONFIG names and variables like PAYSTREAM_NETWORK_TIMEOUT_SECONDS, which win.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


class ConfigurationError(Exception):
    """A setting is missing or is not of its type; the message names it and what it must be."""


def load(cls: type[S], section: str, env: Mapping[str, str]) -> S:
    """The settings of one section. Raises ConfigurationError."""
    values = {**_from_file(section, env), **_from_environment(cls, section, env)}
    try:
        return msgspec.convert(values, cls, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"[{section}]: {error}") from error


def _from_file(section: str, env: Mapping[str, str]) -> dict[str, Any]:
    path = env.get("PAYSTREAM_CONFIG")
    if not path:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text()).get(section, {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"PAYSTREAM_CONFIG={path}: {error}") from error
    if not isinstance(table, dict):
        raise ConfigurationError(f"PAYSTREAM_CONFIG={path}: [{section}] must be a table")
    return table


def _from_environment(cls: type[S], section: str, env: Mapping[str, str]) -> dict[str, str]:
    prefix = f"PAYSTREAM_{section.upper()}_"
    names = (f.name for f in msgspec.structs.fields(cls))
    return {name: env[prefix + name.upper()] for name in names if prefix + name.upper() in env}


class Connections(msgspec.Struct, frozen=True):
    """Where the parts are, and the secrets to reach them; empty if a process does not need it."""

    kafka_bootstrap_servers: str = ""
    clickhouse_url: str = ""
    redis_url: str = ""
    network_url: str = ""
    network_fallback_url: str = ""
    bank_url: str = ""
    receiver_url: str = ""
    api_url: str = ""
    console_url: str = ""
    admin_token: str = ""
    paystream_master_key: str = ""
    network_notification_secret: str = ""
    paystream_state_dir: str = ""
    health_port: int = 0

    def need(self, *names: str) -> "Connections":
        """Itself, if all these are set. Raises ConfigurationError with the names of the missing."""
        if missing := [name.upper() for name in names if not getattr(self, name)]:
            raise ConfigurationError(
                f"{', '.join(missing)} must be set in the environment: `paystream up --env-file F`"
                " writes them, `set -a; . F; set +a` reads them."
            )
        return self


def connections(env: Mapping[str, str]) -> Connections:
    """The well-known variables of DESIGN as values. Raises ConfigurationError."""
    names = (f.name for f in msgspec.structs.fields(Connections))
    values = {name: env[name.upper()] for name in names if env.get(name.upper())}
    try:
        return msgspec.convert(values, Connections, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(str(error)) from error
