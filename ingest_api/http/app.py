"""The ASGI application: routes, errors, OpenAPI. `server` runs it in a process."""

from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from ingest_api.card_encryption_key import CardKeyUnavailable
from ingest_api.commands.errors import CommandError
from ingest_api.http.dependencies import dependencies
from ingest_api.http.error_mapping import problem_of
from ingest_api.http.openapi_document import openapi_document
from ingest_api.http.problems import MEDIA_TYPE, ApiProblem, ProblemBody
from ingest_api.http.requests import ApiRequest
from ingest_api.http.routes import ROUTES, Face, faces
from ingest_api.services import Services
from runtime import log

_BEARER = "ApiKey"
_log = log.get("ingest_api.http.app")


def build_app(services: Services, face: Face = Face.MERCHANTS) -> Litestar:
    """The application over started services, as one address serves it."""
    settings = services.settings
    admin_apart = bool(settings.admin_port)
    routes = faces(admin_apart=admin_apart, probes_apart=bool(settings.metrics_port))
    takes_operators = face == Face.OPERATORS or not admin_apart
    return Litestar(
        route_handlers=routes[face],
        request_class=ApiRequest,
        state=State({"services": services, "takes_operators": takes_operators}),
        dependencies=dependencies(services),
        request_max_body_size=services.settings.body_bytes_max,
        exception_handlers={
            ApiProblem: _problem,
            CommandError: _command_error,
            CardKeyUnavailable: _command_error,
            HTTPException: _framework_error,
            Exception: _internal_error,
        },
        openapi_config=_openapi(),
        logging_config=None,
    )


def openapi_schema() -> dict[str, Any]:
    """The OpenAPI document of the routes, without a running process."""
    app = Litestar(
        ROUTES,
        request_class=ApiRequest,
        dependencies=dependencies(None),
        openapi_config=_openapi(),
    )
    return openapi_document(app)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="paystream",
        version="1",
        description="Payments in; the outcome by webhook, by reading, or by waiting for it.",
        components=Components(
            security_schemes={_BEARER: SecurityScheme(type="http", scheme="bearer")}
        ),
        security=[{_BEARER: []}],
        create_examples=False,
        path="/openapi",
        render_plugins=[JsonRenderPlugin()],
    )


def _problem(_: Request[Any, Any, Any], problem: ApiProblem) -> Response[ProblemBody]:
    return Response(
        problem.body(),
        status_code=problem.problem.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def _command_error(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemBody]:
    """An error of the command path as a problem of the catalogue."""
    return _problem(request, problem_of(error))


def _framework_error(
    request: Request[Any, Any, Any], error: HTTPException
) -> Response[ProblemBody]:
    """The framework's own errors as our problems; its texts may repeat what the caller sent."""
    if isinstance(error, NotFoundException):
        return _problem(request, ApiProblem("not_found"))
    if isinstance(error, MethodNotAllowedException):
        return _problem(request, ApiProblem("method_not_allowed", headers=error.headers))
    if error.status_code == 413:
        return _problem(request, ApiProblem("body_too_large"))
    if isinstance(error, ClientException):
        return _problem(request, ApiProblem("invalid_request", "The request is not valid HTTP."))
    return _internal_error(request, error)


def _internal_error(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemBody]:
    """An unexpected error: the log has its cause, the caller gets no detail."""
    _log.error("request failed", route=request.scope.get("path_template"), exc_info=error)
    return _problem(request, ApiProblem("internal"))
