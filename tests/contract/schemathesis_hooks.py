"""What the document cannot say about values, for schemathesis (loaded by SCHEMATHESIS_HOOKS).

Formats of our own; a number without fraction is written as an integer, as money is; and
each request means something new, because another body under a used idempotency key is refused.
"""

import base64
import json
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

HEADER = base64.urlsafe_b64encode(json.dumps({"alg": "ECDH-ES", "enc": "A256GCM"}).encode())
JWE = f"{HEADER.decode().rstrip('=')}..aXZpdml2.Y2lwaGVydGV4dA.dGFn"
URL = "https://shop.example/hooks"
URL_FIELDS = ("url", "webhook_url", "return_url", "action_url")

schemathesis.openapi.format("compact-jwe", st.just(JWE))
schemathesis.openapi.format(
    "https-url",
    st.tuples(st.from_regex("[a-z]{1,20}", fullmatch=True), st.integers(1, 65535)).map(
        lambda parts: f"https://{parts[0]}.example:{parts[1]}/hooks"
    ),
)


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """A valid key becomes a new one; one that is to be refused stays as it is."""
    key = (headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and key and key.isascii() and key.isprintable() and " " not in key:
        return {**headers, "Idempotency-Key": str(uuid.uuid4())}
    return headers


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Cases that are to be refused stay as they are, but for what is right about them."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if isinstance(case.body, dict):
        case.body = {name: _written(name, value) for name, value in case.body.items()}


def _written(name: str, value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if name in URL_FIELDS and isinstance(value, str) and not value.startswith("https://"):
        return URL  # boundary lengths are tried without the format
    if name == "card" and isinstance(value, str):
        return JWE
    if isinstance(value, dict):
        return {inner: _written(inner, each) for inner, each in value.items()}
    return value
