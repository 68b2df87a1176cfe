"""Composition root of the status sink: events -> views of payments and outcomes of commands."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from engine import BatchStream, EngineApp, Retry
from runtime import log
from runtime.settings import connections, load
from runtime.telemetry import counter
from schemas.codec import decoder
from schemas.records import PaymentEvent, Rejection
from schemas.status_keys import payment_key
from schemas.topics import PAYMENTS_EVENTS, PAYMENTS_REJECTIONS
from sinks.status.documents import outcomes, refusals, views
from sinks.status.settings import StatusSettings
from sinks.status.store import StatusStoreUnavailable, StatusWriter
from workers.app import new_app
from workers.catalogue import WORKERS

GROUP = WORKERS["status"].group


def build_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `status`. Raises ConfigurationError."""
    settings = load(StatusSettings, "status", env)
    known = connections(env).need("kafka_bootstrap_servers", "redis_url")
    app = new_app(GROUP, instance_id, env)
    store = StatusWriter(known.valkey, settings)
    logger = log.get("sinks.status")

    @app.agent(app.batch_topic(PAYMENTS_EVENTS, decode=decoder(PaymentEvent)))
    async def write_status(stream: BatchStream) -> None:
        async for batch in stream:
            with _retried(settings, logger):
                await write([record.value for record in batch], store, settings)

    @app.agent(app.batch_topic(PAYMENTS_REJECTIONS, decode=decoder(Rejection)))
    async def write_refusals(stream: BatchStream) -> None:
        async for batch in stream:
            with _retried(settings, logger):
                rejections = [record.value for record in batch]
                await store.write(refusals(rejections), settings.outcome_seconds)

    return app


@contextmanager
def _retried(settings: StatusSettings, logger: Any) -> Iterator[None]:
    """Raises Retry while Valkey does not take a batch."""
    try:
        yield
    except StatusStoreUnavailable as error:
        counter("paystream_status_batch_retries_total").inc()
        logger.warning("status_batch_not_written", error=str(error))
        raise Retry(settings.retry_seconds, f"valkey: {error}") from error


async def write(
    events: Sequence[PaymentEvent], store: StatusWriter, settings: StatusSettings
) -> None:
    """Write the views and outcomes of the events to Valkey; a repeat changes nothing.

    Outcomes are written after the views, so a reader of an outcome finds its payment's state.
    Raises StatusStoreUnavailable.
    """
    stored = await store.read(sorted({payment_key(event.payment_id) for event in events}))
    written = await store.write(views(events, stored))
    await store.write(outcomes(events), settings.outcome_seconds)
    counter("paystream_status_views_total").inc(written)
