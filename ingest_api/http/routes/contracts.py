"""Contracts for machines: OpenAPI, AsyncAPI, and the Avro schemas as a registry serves them."""

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from ingest_api.http import asyncapi as asyncapi_document
from ingest_api.http import schema_registry
from ingest_api.http.schema_registry import MEDIA_TYPE, RegisteredSchema, SchemaText, UnknownSchema


def _unknown(_: Request[Any, Any, Any], error: UnknownSchema) -> Response[dict[str, Any]]:
    """Registry clients expect their own error shape."""
    return Response(
        {"error_code": error.code, "message": str(error)}, status_code=404, media_type=MEDIA_TYPE
    )


_REGISTRY: dict[str, Any] = {
    "sync_to_thread": False,
    "security": [],
    "media_type": MEDIA_TYPE,
    "exception_handlers": {UnknownSchema: _unknown},
    "tags": ["schemas"],
}


@get("/subjects", **_REGISTRY)
def subjects() -> list[str]:
    """Names of all subjects."""
    return schema_registry.subject_names()


@get("/subjects/{subject:str}/versions", **_REGISTRY)
def versions(subject: FromPath[str]) -> list[int]:
    """Versions of a subject."""
    return schema_registry.version_numbers(subject)


@get("/subjects/{subject:str}/versions/{version:str}", **_REGISTRY)
def version(subject: FromPath[str], version: FromPath[str]) -> RegisteredSchema:
    """A version by number, or `latest`."""
    return schema_registry.version_of(subject, version)


@get("/schemas/ids/{schema_id:int}", **_REGISTRY)
def schema_by_id(schema_id: FromPath[int]) -> SchemaText:
    """The schema whose id is in a record's first five bytes."""
    return schema_registry.by_id(schema_id)


@get("/schemas/ids/{schema_id:int}/schema", **_REGISTRY)
def schema_text_by_id(schema_id: FromPath[int]) -> bytes:
    """The schema itself."""
    return schema_registry.by_id(schema_id).schema.encode()


@get("/schemas/types", **_REGISTRY)
def schema_types() -> list[str]:
    """Avro alone."""
    return ["AVRO"]


@get("/config", **_REGISTRY)
def compatibility() -> dict[str, str]:
    """New versions can read old records."""
    return {"compatibilityLevel": "BACKWARD"}


@get("/openapi.json", sync_to_thread=False, include_in_schema=False)
def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """This API for machines."""
    return request.app.openapi_schema.to_schema()


@get("/asyncapi.yaml", sync_to_thread=False, security=[], summary="All topics as AsyncAPI 3.0")
def asyncapi() -> Response[str]:
    """For producers and consumers that speak Kafka themselves."""
    return Response(asyncapi_document.as_yaml(), media_type="application/yaml")
