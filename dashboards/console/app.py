"""The console's pages: one static page, the picture it draws as JSON, one payment as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

from litestar import Litestar, MediaType, Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dashboards.console.overview import Overview

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_OURS_ONLY = ("script-src", "style-src", "connect-src", "img-src")
_POLICY = "; ".join(["default-src 'none'", *(f"{kind} 'self'" for kind in _OURS_ONLY)])
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
PAYMENT_ID_CHARACTERS_MAX = 64


def _assets() -> dict[str, bytes]:
    folder = files("dashboards.console").joinpath("static")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _static(assets: dict[str, bytes], name: str) -> Response[bytes]:
    if name not in assets:
        return Response(b"not found\n", status_code=404, media_type=MediaType.TEXT)
    media_type = _TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return Response(assets[name], media_type=f"{media_type}; charset=utf-8", headers=_HEADERS)


def build_app(overview: Overview) -> Litestar:
    """The ASGI app; asks the parts in rounds while a page is open."""
    assets = _assets()

    @get("/", sync_to_thread=False)
    def page() -> Response[bytes]:
        return _static(assets, "index.html")

    @get("/static/{name:str}", sync_to_thread=False)
    def static(name: str) -> Response[bytes]:
        return _static(assets, name)

    @get("/api/overview")
    async def picture() -> dict[str, Any]:
        """The newest picture: section -> rows or error."""
        await overview.fresh()
        return {"taken_at_ms": overview.taken_at_ms, "sections": overview.sections}

    @get("/api/payments/{payment_id:str}", sync_to_thread=True)
    def payment(payment_id: str) -> Response[dict[str, Any]]:
        """What ClickHouse has about one payment; 404 if nothing, 503 if it does not answer."""
        return _payment(overview, payment_id)

    return Litestar(
        [page, static, picture, payment, *_probes(overview)],
        lifespan=[_refreshing(overview)],
        openapi_config=None,
    )


def _payment(overview: Overview, payment_id: str) -> Response[dict[str, Any]]:
    if overview.ledger is None:
        return Response({"error": "CLICKHOUSE_URL is not set."}, status_code=503)
    try:
        story = overview.ledger.payment(payment_id[:PAYMENT_ID_CHARACTERS_MAX])
    except Exception as error:  # whatever the database does, the page says it
        return Response({"error": f"ClickHouse: {str(error)[:300]}"}, status_code=503)
    if not story["events"]:
        sentence = f"{payment_id} is not in the ledger's database (yet): check the id."
        return Response({"error": sentence}, status_code=404)
    return Response(story)


def _probes(overview: Overview) -> list[Any]:
    @get("/livez", sync_to_thread=False, media_type=MediaType.TEXT)
    def livez() -> str:
        return "ok\n"

    @get("/readyz", sync_to_thread=False)
    def readyz() -> Response[str]:
        """Ready after the first round of queries; the page shows which parts are unavailable."""
        ready = overview.taken_at_ms > 0
        text, status = ("ok\n", 200) if ready else ("not yet\n", 503)
        return Response(text, status_code=status, media_type=MediaType.TEXT)

    @get("/metrics", sync_to_thread=False)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [livez, readyz, metrics]


def _refreshing(overview: Overview) -> Callable[[Litestar], Any]:
    @asynccontextmanager
    async def run(app: Litestar) -> AsyncIterator[None]:
        following = asyncio.create_task(overview.follow())
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    return run
