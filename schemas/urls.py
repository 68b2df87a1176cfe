"""URLs that merchants give: one rule for the API that takes and the sink that calls them (pure).

The rule covers what stands in the URL. A name is resolved and its address checked where a
connection is made (`sinks.webhooks.targets`): it may resolve differently at the next time.
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import msgspec

URL_CHARACTERS_MAX = 2048
_PORT_MAX = 65_535
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CHARACTERS = re.compile(r"[!-~]+")
"""Visible ASCII: RFC 3986 has no blank, no control character and nothing beyond ASCII."""
_HOST_NAME = re.compile(
    r"(?=.{1,253}\.?\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_NUMERIC = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)\.?\Z|.*\.(?:0[xX][0-9A-Fa-f]*|[0-9]+)\.?\Z")
"""Resolvers read a host as an address if its last label is a number (WHATWG URL)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TargetRules(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed beside https to public addresses."""

    allow_loopback: bool = False
    allow_private_addresses: bool = False


def url_error(url: str, rules: TargetRules) -> str | None:
    """Why the URL may not be called, in a clause; None if it may be tried."""
    if len(url) > URL_CHARACTERS_MAX:
        return f"the URL is longer than {URL_CHARACTERS_MAX} characters"
    if not _CHARACTERS.fullmatch(url):
        return "the URL has a blank, a control character or one beyond ASCII"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"the URL cannot be read: {error}"
    return _parts_error(url, parts, host, port) or _target_error(parts.scheme, host or "", rules)


def _parts_error(url: str, parts: SplitResult, host: str | None, port: int | None) -> str | None:
    if not host or parts.username is not None or "\\" in url:
        return "the URL must have a host and no user name"
    if port == 0 or parts.netloc.endswith(":"):
        return f"the port must be 1 to {_PORT_MAX}"
    return None


def _target_error(scheme: str, host: str, rules: TargetRules) -> str | None:
    if scheme != "https" and not (scheme == "http" and _is_this_machine(host, rules)):
        return "the URL must begin with https://"
    return _host_error(host, rules)


def address_error(address: str, rules: TargetRules) -> str | None:
    """Why the address may not be connected to; None if it may."""
    parsed = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if parsed.is_loopback:
        return None if rules.allow_loopback else f"{address} is this machine"
    if parsed.is_global and not parsed.is_multicast:
        return None
    if rules.allow_private_addresses and parsed.is_private and not parsed.is_unspecified:
        return None
    return f"{address} is not a public address"


def _host_error(host: str, rules: TargetRules) -> str | None:
    try:
        return address_error(host, rules)
    except ValueError:
        pass
    if not _HOST_NAME.fullmatch(host) or _NUMERIC.match(host):
        return "the host is neither a name nor an address"
    if host.rstrip(".").lower() == "localhost" and not rules.allow_loopback:
        return f"{host} is this machine"
    return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside of a mapped, 6to4 or NAT64 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def _is_this_machine(host: str, rules: TargetRules) -> bool:
    """Only literal loopback hosts: a name could point anywhere, and http hides nothing."""
    if not rules.allow_loopback:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
