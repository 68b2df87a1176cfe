"""Requests as handlers see them: the caller, the trace, a strictly decoded body; and guards."""

from collections.abc import Awaitable, Callable
from types import NoneType
from typing import Any, cast, get_args

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler

from ingest_api.commands.idempotency import KeyedRequest
from ingest_api.http.authentication import Caller
from ingest_api.http.early_refusals import rate_limit_headers
from ingest_api.http.problems import ApiProblem, invalid, try_again
from ingest_api.http.request_bodies import check_media_type, decode_body
from ingest_api.http.request_headers import (
    ACTOR,
    IDEMPOTENCY_KEY,
    REASON,
    actor_name,
    bearer_token,
    idempotency_key,
    justification,
    wait_seconds,
)
from ingest_api.limits.limiter import Admission
from ingest_api.limits.request_limits import client_address
from ingest_api.merchants.models import Act
from ingest_api.services import Services
from runtime.trace_context import parse_or_start
from schemas.enums import Scope
from schemas.urls import url_error

TRACEPARENT_STATE = "traceparent"
RATE_LIMIT_STATE = "rate_limit_headers"


class ApiRequest(Request[Caller, Any, State]):
    """A request of this API."""

    @property
    def caller(self) -> Caller:
        """Who calls; only in routes behind a guard."""
        return self.user

    @property
    def idempotency_key(self) -> str:
        """Raises ApiProblem if it is missing or malformed."""
        return idempotency_key(self.headers.getall(IDEMPOTENCY_KEY, []))

    @property
    def act(self) -> Act:
        """Who does this and why, for the audit. Raises ApiProblem for malformed headers."""
        name = actor_name(self.headers.get(ACTOR))
        key = self.caller.api_key
        operator = "operator" if name is None else f"operator:{name}"
        return Act(
            actor=operator if key is None else f"api_key:{key.key_id}",
            justification=justification(self.headers.get(REASON)),
            traceparent=self.traceparent,
        )

    async def keyed(
        self, owner: str, mode: str, operation: str, meaning: dict[str, object]
    ) -> tuple[KeyedRequest, bool]:
        """This request under its idempotency key, and whether it came before.

        Raises ApiProblem, IdempotencyMismatch.
        """
        request = KeyedRequest(owner, mode, operation, self.idempotency_key, meaning)
        return request, await _services(self).idempotency_keys.is_repeat(request)

    def check_url(self, field: str, url: str | None) -> None:
        """Raises ApiProblem at the field if we may not send anything or anybody there."""
        if url is not None and (problem := url_error(url, _services(self).target_rules)):
            raise invalid(f"/{field}", problem)

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
        body = await self.body()
        if body:
            check_media_type(self.headers.getall("content-type", []), self.headers)
        field = self.route_handler.parsed_data_field
        return decode_body(body, _body_type(field.annotation) if field else Any)


def _body_type(annotation: Any) -> Any:
    """Of a body that may be absent: the type without None, because the JSON text null is a body."""
    given = [part for part in get_args(annotation) if part is not NoneType]
    return given[0] if len(given) == 1 and NoneType in get_args(annotation) else annotation


def _services(connection: ASGIConnection[Any, Any, Any, Any]) -> Services:
    return cast(Services, connection.app.state.services)


def trace_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The caller's trace if the header is valid, else a new one."""
    sent = next((value for name, value in headers if name == b"traceparent"), None)
    return parse_or_start(None if sent is None else sent.decode("latin-1"))


Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def requires(*scopes: Scope, operators: bool = False) -> Guard:
    """Guard: a merchant's key that has these scopes, within its rate; or else an operator."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        caller = await _authenticate(connection)
        if not operators:
            caller.require_merchant()
        caller.require_scopes(*scopes)

    return guard


async def require_operator(
    connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
) -> None:
    """Guard: the admin token. Raises ApiProblem."""
    caller = await _authenticate(connection)
    if not caller.is_operator:
        raise ApiProblem("forbidden", "Only operators may do this. Use the operators' token.")


async def _authenticate(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    services = _services(connection)
    caller = services.authenticator.identify(bearer_token(connection.headers.get("authorization")))
    if caller.is_operator and not connection.app.state.takes_operators:
        raise ApiProblem("forbidden", "Operators have an address of their own. Use that one.")
    connection.scope["user"] = caller
    if caller.merchant is not None and caller.mode is not None:
        admission = await services.limits.admit_request(caller.merchant, caller.mode)
        if not admission.admitted:
            sent = connection.headers.get("authorization", "")
            services.early_refusals.remember(sent.encode("latin-1"), admission)
        _check_admission(connection, admission)
    return caller


async def admit_registration(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Counts a registration by somebody unknown. Raises ApiProblem 429."""
    services = _services(connection)
    peer = connection.scope.get("client")
    address = client_address(
        peer[0] if peer else "",
        connection.headers.get("x-forwarded-for", ""),
        services.settings.trusted_proxies,
    )
    _check_admission(connection, await services.limits.admit_registration(address))


def _check_admission(connection: ASGIConnection[Any, Any, Any, Any], admission: Admission) -> None:
    """Every answer says what is left. Raises ApiProblem 429."""
    connection.scope["state"][RATE_LIMIT_STATE] = rate_limit_headers(admission)
    if not admission.admitted:
        raise try_again("rate_limited", admission.retry_after_seconds)
