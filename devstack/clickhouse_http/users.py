"""Who may ask: `default` without limits, `analyst` to read.

Both are without a password unless the server is given one: it listens on loopback only.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

from devstack.clickhouse_http.errors import AUTHENTICATION_FAILED, refused


@dataclass(frozen=True)
class User:
    """A user and what limits it; `password` None accepts any, as ClickHouse's `no_password`."""

    name: str
    read_only: bool
    default_database: str | None
    max_execution_seconds: int
    memory_bytes_max: int
    password: str | None = None


def known_users(default_password: str | None, analyst_password: str | None) -> dict[str, User]:
    """The two users by name."""
    gibibyte = 1024**3
    return {
        "default": User("default", False, None, 600, 4 * gibibyte, default_password),
        "analyst": User("analyst", True, "paystream", 30, 1 * gibibyte, analyst_password),
    }


def authenticate(users: Mapping[str, User], headers: Message, query: Mapping[str, str]) -> User:
    """The user named by basic auth, `X-ClickHouse-User`/`-Key` or `?user=&password=`.

    Without a name it is `default`. A wrong name or password is code 516, HTTP 403.
    """
    name, password = _credentials(headers, query)
    user = users.get(name)
    wrong = user is None or (
        user.password is not None
        and not hmac.compare_digest(user.password.encode(), password.encode())
    )
    if user is None or wrong:
        raise refused(
            AUTHENTICATION_FAILED,
            "AUTHENTICATION_FAILED",
            f"{name}: Authentication failed: password is incorrect, or there is no user with such"
            " name (there are `default` and `analyst`).",
        )
    return user


def _credentials(headers: Message, query: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "(unreadable basic authorization)", ""
        return name, password
    return query.get("user", "default"), query.get("password", "")
