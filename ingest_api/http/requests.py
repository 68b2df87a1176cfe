"""Requests as handlers see them: the caller, the trace, a strictly decoded body; and guards."""

import asyncio
from functools import cache
from typing import Any, cast

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from ingest_api.http.authentication import Caller
from ingest_api.http.problems import ApiProblem, FieldError, invalid, try_again
from ingest_api.http.request_headers import (
    IDEMPOTENCY_KEY,
    bearer_token,
    card_number_refused,
    idempotency_key,
    wait_seconds,
)
from ingest_api.http.request_models import InvalidField
from ingest_api.services import Services
from runtime.trace_context import parse_or_start
from schemas.pan import document_has_card_number

TRACEPARENT_STATE = "traceparent"


@cache
def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(annotation)


def _pointer(location: str) -> str:
    """`$.a.b[0]` of msgspec as JSON Pointer `/a/b/0`."""
    return location.removeprefix("$").replace("[", "/").replace("]", "").replace(".", "/")


def _field_error(error: msgspec.ValidationError) -> FieldError:
    if isinstance(error.__cause__, InvalidField):
        return FieldError(f"/{error.__cause__.field}", str(error.__cause__))
    message, _, location = str(error).partition(" - at `")
    return FieldError(_pointer(location.rstrip("`")), message)


def decode_body(body: bytes, annotation: Any) -> Any:
    """The body as that type. Raises ApiProblem: no JSON, a card number in clear, a wrong field."""
    try:
        if document_has_card_number(msgspec.json.decode(body)):
            raise card_number_refused()
        return _decoder(annotation).decode(body)
    except msgspec.ValidationError as error:
        wrong = _field_error(error)
        where = f"{wrong.pointer}: " if wrong.pointer else ""
        raise ApiProblem("invalid_request", f"{where}{wrong.message}", errors=(wrong,)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("", "The body must be one JSON object in UTF-8") from None


class ApiRequest(Request[Caller, Any, State]):
    """A request of this API."""

    @property
    def caller(self) -> Caller:
        """Who calls; only in routes behind a guard."""
        return self.user

    @property
    def idempotency_key(self) -> str:
        """Raises ApiProblem if it is missing or malformed."""
        return idempotency_key(self.headers.get(IDEMPOTENCY_KEY))

    @property
    def wait_seconds(self) -> float:
        """How long the client prefers to wait for an outcome, bounded."""
        return wait_seconds(
            self.headers.getall("prefer", []), _services(self).settings.wait_seconds_max
        )

    @property
    def traceparent(self) -> str:
        """The trace that this request belongs to."""
        return str(self.scope["state"][TRACEPARENT_STATE])

    async def json(self) -> Any:
        """The body, as the type that the handler declares."""
        field = self.route_handler.parsed_data_field
        return decode_body(await self.body(), field.annotation if field else Any)


def _services(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    return cast(Services, connection.app.state.services)


def trace_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The caller's trace if the header is valid, else a new one."""
    sent = next((value for name, value in headers if name == b"traceparent"), None)
    return parse_or_start(None if sent is None else sent.decode("latin-1"))


async def require_authentication(
    connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
) -> None:
    """Guard: any caller with a valid token, within its rate. Raises ApiProblem."""
    services = _services(connection)
    caller = services.authenticator.identify(bearer_token(connection.headers.get("authorization")))
    connection.scope["user"] = caller
    if caller.merchant is not None:
        name = f"{caller.merchant.merchant_id}:{caller.mode}"
        if not services.limiter.allow(name, asyncio.get_running_loop().time()):
            raise try_again("rate_limited")


async def require_merchant_key(
    connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler
) -> None:
    """Guard: callers with a merchant's API key. Raises ApiProblem."""
    await require_authentication(connection, route)
    cast(Caller, connection.scope["user"]).require_merchant()
