"""Contracts for machines: OpenAPI, AsyncAPI, and the Avro schemas as a registry serves them."""

import json
from typing import Any

from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from ingest_api.http import asyncapi as asyncapi_document
from ingest_api.http import schema_registry
from ingest_api.http.openapi_document import openapi_document
from ingest_api.http.schema_registry import (
    MEDIA_TYPE,
    RegisteredSchema,
    RegistryError,
    SchemaText,
    UnknownSchema,
)


def _unknown(_: Request[Any, Any, Any], error: UnknownSchema) -> Response[RegistryError]:
    """Registry clients expect their own error shape."""
    return Response(RegistryError(error.code, str(error)), status_code=404, media_type=MEDIA_TYPE)


_REGISTRY: dict[str, Any] = {
    "sync_to_thread": False,
    "security": [],
    "media_type": MEDIA_TYPE,
    "exception_handlers": {UnknownSchema: _unknown},
    "tags": ["schemas"],
}
_OF_ONE: dict[str, Any] = {
    **_REGISTRY,
    "responses": {
        404: ResponseSpec(
            RegistryError,
            description="Unknown subject, version or id.",
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
    },
}


@get("/subjects", **_REGISTRY)
def subjects() -> list[str]:
    """Names of all subjects."""
    return schema_registry.subject_names()


@get("/subjects/{subject:str}/versions", **_OF_ONE)
def versions(subject: FromPath[str]) -> list[int]:
    """Versions of a subject."""
    return schema_registry.version_numbers(subject)


@get("/subjects/{subject:str}/versions/{version:str}", **_OF_ONE)
def version(subject: FromPath[str], version: FromPath[str]) -> RegisteredSchema:
    """A version by number, or `latest`."""
    return schema_registry.version_of(subject, version)


@get("/schemas/ids/{schema_id:str}", **_OF_ONE)
def schema_by_id(schema_id: FromPath[str]) -> SchemaText:
    """The schema whose id is in a record's first five bytes."""
    return schema_registry.by_id(schema_id)


@get("/schemas/ids/{schema_id:str}/schema", **_OF_ONE)
def schema_text_by_id(schema_id: FromPath[str]) -> dict[str, Any]:
    """The schema itself."""
    document: dict[str, Any] = json.loads(schema_registry.by_id(schema_id).schema)
    return document


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
    return openapi_document(request.app)


@get(
    "/asyncapi.yaml",
    sync_to_thread=False,
    security=[],
    media_type="application/yaml",
    summary="All topics as AsyncAPI 3.0",
)
def asyncapi() -> Response[str]:
    """For producers and consumers that speak Kafka themselves."""
    return Response(asyncapi_document.as_yaml(), media_type="application/yaml")
