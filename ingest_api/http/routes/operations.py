"""Probes, metrics, the catalogue of problems, and the card network's key."""

import json
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest_api.card_encryption_key import CardKey
from ingest_api.http.openapi_responses import problems
from ingest_api.http.problems import ApiProblem
from ingest_api.services import Readiness, Services
from schemas.errors import CATALOGUE


@get(
    "/livez",
    sync_to_thread=False,
    security=[],
    media_type="text/plain",
    responses={503: ResponseSpec(str, media_type="text/plain", generate_examples=False)},
    summary="Whether a restart would not help",
)
def livez(services: NamedDependency[Services]) -> Response[str]:
    """503: the producer can never send again."""
    ok = services.live
    return Response(
        "ok\n" if ok else "not yet\n", status_code=200 if ok else 503, media_type="text/plain"
    )


@get(
    "/readyz",
    security=[],
    responses={503: ResponseSpec(Readiness, generate_examples=False)},
    summary="Whether requests should come here",
)
async def readyz(services: NamedDependency[Services]) -> Response[Readiness]:
    """503: merchants' keys are not read yet, Kafka is silent, or the process is about to end."""
    readiness = services.readiness
    return Response(readiness, status_code=200 if readiness.ready else 503)


@get(
    "/metrics",
    sync_to_thread=False,
    security=[],
    media_type="text/plain",
    summary="Prometheus metrics of this process",
)
def metrics() -> Response[str]:
    """Names and meanings: schemas/metrics.py."""
    return Response(generate_latest().decode(), media_type=CONTENT_TYPE_LATEST)


@get(
    "/problems/{code:str}",
    sync_to_thread=False,
    security=[],
    responses=problems("not_found"),
    summary="What a problem type means",
)
def problem_type(code: FromPath[str]) -> dict[str, str | int]:
    """The `type` of every error answer leads here."""
    if code not in CATALOGUE:
        raise ApiProblem("not_found")
    return dict(CATALOGUE[code]._asdict())


@get(
    "/.well-known/jwks.json",
    security=[],
    media_type="application/jwk-set+json",
    responses=problems("network_unavailable"),
    summary="The key that card data is encrypted to",
)
async def jwks(card_key: NamedDependency[CardKey]) -> Response[dict[str, Any]]:
    """The card network's keys as JWK Set (RFC 7517): use ECDH-ES and A256GCM."""
    document = json.loads(await card_key.jwks())
    return Response(
        document, media_type="application/jwk-set+json", headers={"Cache-Control": "max-age=60"}
    )
