"""The OpenAPI document: the framework's, with what its renderer leaves out or gets wrong.

It drops an empty `security`, so that public routes seem to need a key. It describes bodies without
their bounds and without that unknown members are refused: msgspec, which decodes them, knows both.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.serialization import encode_json, get_serializer

from ingest_api.commands.documents import Payment
from ingest_api.http import key_models, request_models, response_models
from ingest_api.http.problems import MEDIA_TYPE, ProblemBody
from ingest_api.merchants.models import NewEndpoint, NewMerchant
from ingest_api.services import Readiness
from schemas.errors import CATALOGUE

Document = dict[str, Any]
_REFERENCE = "#/components/schemas/{name}"
_PARAMETER_TYPE = re.compile(r":[a-z]+}")
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_PROBLEM = {"$ref": _REFERENCE.format(name=ProblemBody.__name__)}
_ALWAYS = {"405": "method_not_allowed", "500": "internal"}
_RATE_LIMIT = {
    "RateLimit-Policy": "The quota: q requests, paid back in w seconds.",
    "RateLimit": "r requests are left; all are back in t seconds.",
}
_RETRY_AFTER = {"Retry-After": "Seconds to wait before the same request is sent again."}
_REPLAYED = {"Idempotent-Replayed": "true if the request came before."}


def openapi_document(app: Litestar) -> Document:
    """The document of the app's routes, as plain values."""
    text = encode_json(app.openapi_schema.to_schema(), serializer=get_serializer())
    document: Document = json.loads(text)
    public = set(_public_operations(app))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(operation, is_public=(method, path) in public)
    for path in ("/asyncapi.yaml", "/.well-known/jwks.json"):
        for content in document["paths"][path]["get"]["responses"]["200"]["content"].values():
            content["schema"] = {"type": "object"}
    document["components"]["schemas"] |= _schemas()
    return document


def _public_operations(app: Litestar) -> Iterable[tuple[str, str]]:
    """(method, path) of handlers that say that they need no key."""
    for route in app.routes:
        path = _PARAMETER_TYPE.sub("}", route.path)
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler) and handler.security == []:
                yield from ((method.lower(), path) for method in handler.http_methods)


def _complete(operation: Document, *, is_public: bool) -> None:
    responses = operation["responses"]
    _allow_no_body(operation.get("requestBody", {}))
    if is_public:
        operation["security"] = []
    for status, code in _ALWAYS.items():
        text = f"`{code}`: {CATALOGUE[code].title}."
        content = {MEDIA_TYPE: {"schema": _PROBLEM}}
        responses.setdefault(status, {"description": text, "content": content})
    if "application/json" in responses.get("400", {}).get("content", {}):
        del responses["400"]  # the framework's guess: a parameter that fits nothing is not found
    for status, response in responses.items():
        headers = {} if is_public else dict(_RATE_LIMIT)
        if status in ("202", "429", "503"):
            headers |= _RETRY_AFTER
        if status in ("200", "202") and _needs_key(operation):
            headers |= _REPLAYED
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}, "required": False}
            for name, text in headers.items()
        }


def _allow_no_body(body: Document) -> None:
    """A body that handlers take as `X | None` may be absent, and is no null."""
    for content in body.get("content", {}).values():
        choices = content["schema"].get("oneOf", ())
        if {"type": "null"} in choices:
            content["schema"] = next(each for each in choices if "$ref" in each)
            body["required"] = False


def _needs_key(operation: Document) -> bool:
    return any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", ()))


@cache
def _schemas() -> Document:
    """Schemas of all bodies as msgspec decodes and encodes them."""
    modules = (request_models, key_models, response_models)
    bodies = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
    ]
    bodies += [Payment, NewEndpoint, NewMerchant, ProblemBody, Readiness]
    _, components = msgspec.json.schema_components(bodies, ref_template=_REFERENCE)
    return dict(components)
