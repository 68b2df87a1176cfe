"""Where ClickHouse and Valkey are, and how a client proves itself: [clickhouse] and [valkey]."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from runtime.tls import TlsFiles, WrongTlsFile

_CLICKHOUSE_PORTS = {"http": 8123, "https": 8443}
_VALKEY_SCHEMES = ("redis", "rediss")


class WrongStoreSetting(ValueError):
    """An address or a setting of [clickhouse] or [valkey] has no meaning; a sentence."""


class ClickHouseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients speak to ClickHouse; section [clickhouse], PAYSTREAM_CLICKHOUSE_*."""

    password: str = ""
    """Of the user in CLICKHOUSE_URL; a secret: give it by PAYSTREAM_CLICKHOUSE_PASSWORD."""
    analyst_password: str = ""
    """Of the user in ANALYST_CLICKHOUSE_URL; a secret as well."""
    ssl_ca_file: str = ""
    """PEM file with the server's CA, for `https://`; empty takes the system's CAs."""
    ssl_certificate_file: str = ""
    """PEM file with the client's certificate. Without a password it also says who the user is."""
    ssl_key_file: str = ""
    """PEM file with that certificate's private key, not encrypted."""
    ssl_verify: bool = True
    """Whether the server's certificate is checked. Switch it off on a test machine only."""


class ValkeySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients speak to Valkey; section [valkey], PAYSTREAM_VALKEY_*."""

    username: str = ""
    """ACL user; empty is `default`."""
    password: str = ""
    """A secret: give it by PAYSTREAM_VALKEY_PASSWORD, unless REDIS_URL has it."""
    ssl_ca_file: str = ""
    """PEM file with the server's CA, for `rediss://`; empty takes the system's CAs."""
    ssl_certificate_file: str = ""
    """PEM file with the client's certificate, for mutual TLS."""
    ssl_key_file: str = ""
    """PEM file with that certificate's private key."""
    ssl_key_password: str = ""
    """A secret, if the key file is encrypted: give it by PAYSTREAM_VALKEY_SSL_KEY_PASSWORD."""


@dataclass(frozen=True)
class ClickHouseConnection:
    """A ClickHouse over HTTP, as `http://user:password@host:port/database`; `https` is TLS.

    `password` is the user's if the URL has none. `repr` shows no secret.
    """

    url: str = field(repr=False)
    password: str = field(default="", repr=False)
    tls: TlsFiles = field(default=TlsFiles(), repr=False)
    verify: bool = True

    def checked(self, variable: str) -> "ClickHouseConnection":
        """Itself. Raises WrongStoreSetting, which names the variable and never its value."""
        parts = _split(self.url, variable, tuple(_CLICKHOUSE_PORTS), "http://host:8123")
        if self.password and parts.password:
            raise WrongStoreSetting(
                f"{variable} has a password, and so has [clickhouse]. Remove one of them."
            )
        if parts.query:
            raise WrongStoreSetting(f"{variable} has a query after `?`. Remove it.")
        _check_tls(self.tls, "clickhouse", secure=parts.scheme == "https")
        return self

    @property
    def parts(self) -> SplitResult:
        """The parts of the URL."""
        return urlsplit(self.url)

    @property
    def port(self) -> int:
        """The URL's, or ClickHouse's usual one for `http` and `https`."""
        return self.parts.port or _CLICKHOUSE_PORTS[self.parts.scheme]


@dataclass(frozen=True)
class ValkeyConnection:
    """A Valkey or Redis, as `redis://host:port/number`; `rediss` is TLS. `repr` has no secret."""

    url: str = field(repr=False)
    tls: TlsFiles = field(default=TlsFiles(), repr=False)

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return self.url.startswith("rediss:")


def clickhouse_connection(
    url: str, settings: ClickHouseSettings, variable: str = "CLICKHOUSE_URL"
) -> ClickHouseConnection:
    """The connection of a URL, empty if that is. Raises WrongStoreSetting."""
    analyst = variable.startswith("ANALYST")
    found = ClickHouseConnection(
        url,
        settings.analyst_password if analyst else settings.password,
        TlsFiles(settings.ssl_ca_file, settings.ssl_certificate_file, settings.ssl_key_file),
        settings.ssl_verify,
    )
    return found.checked(variable) if url else found


def valkey_connection(url: str, settings: ValkeySettings) -> ValkeyConnection:
    """The connection of REDIS_URL, empty if that is. Raises WrongStoreSetting."""
    tls = TlsFiles(
        settings.ssl_ca_file,
        settings.ssl_certificate_file,
        settings.ssl_key_file,
        settings.ssl_key_password,
    )
    if not url:
        return ValkeyConnection(url, tls)
    parts = _split(url, "REDIS_URL", _VALKEY_SCHEMES, "redis://host:6379/0")
    _check_tls(tls, "valkey", secure=parts.scheme == "rediss")
    if not (settings.username or settings.password):
        return ValkeyConnection(url, tls)
    if parts.username or parts.password:
        raise WrongStoreSetting(
            "REDIS_URL has a user or a password, and so has [valkey]. Remove one of them."
        )
    who = f"{quote(settings.username, safe='')}:{quote(settings.password, safe='')}"
    return ValkeyConnection(parts._replace(netloc=f"{who}@{parts.netloc}").geturl(), tls)


def _split(url: str, variable: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        known = False
    if not known:
        raise WrongStoreSetting(f"{variable} is no address. Set it to one such as {example}.")
    return parts


def _check_tls(files: TlsFiles, section: str, *, secure: bool) -> None:
    if not any(files):
        return
    if not secure:
        scheme = "https" if section == "clickhouse" else "rediss"
        raise WrongStoreSetting(
            f"[{section}] has files for TLS, but its address does not begin with {scheme}://."
            " Change the address, or remove the files."
        )
    try:
        files.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except WrongTlsFile as error:
        raise WrongStoreSetting(f"[{section}] {error}") from error
