"""Identities that are new each time."""

import uuid_utils


def new_id(prefix: str) -> str:
    """`prefix` and a UUIDv7 (RFC 9562) in hexadecimal: unique, and ordered by time of making."""
    return prefix + uuid_utils.uuid7().hex
