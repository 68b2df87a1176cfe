"""Composition root of reconciliation: three sources into one table, postings and breaks out."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from engine import Batch, BatchStream, EngineApp, TransactionalTable
from runtime.settings import connections, load
from runtime.telemetry import counter
from schemas.codec import decoder
from schemas.envelopes import to_message
from schemas.headers import TRACEPARENT
from schemas.records import BankLine, PaymentEvent, ReconciliationRequest, SettlementLine
from schemas.topics import (
    BANK_STATEMENTS,
    NETWORK_SETTLEMENTS,
    PAYMENTS_EVENTS,
    RECONCILIATION_REQUESTS,
)
from sinks.reconciliation.matching import state
from sinks.reconciliation.matching.intake import requests_of_line, requests_of_statement_line
from sinks.reconciliation.matching.outcome import Outcome, is_about_report
from sinks.reconciliation.matching.payments import PaymentAggregate
from sinks.reconciliation.matching.reports import ReportAggregate
from sinks.reconciliation.matching.retention import retained_until_ms
from sinks.reconciliation.matching.rules import MatchingPolicy, next_check_at_ms
from sinks.reconciliation.overdue_checks import overdue_checks
from sinks.reconciliation.report_poller import GROUP, ReportPoller
from sinks.reconciliation.settings import ReconciliationSettings
from workers.app import new_app
from workers.due_commands import run_regularly
from workers.placement import Placement
from workers.state_codec import state_codec

POLLING_PARTITION = 0
"""The owner of this partition polls the reports and statements."""


def build_app(instance_id: str, env: Mapping[str, str]) -> EngineApp:
    """The worker `reconciliation`. Raises ConfigurationError."""
    settings = load(ReconciliationSettings, "reconciliation", env)
    known = connections(env).need("kafka_bootstrap_servers", "network_url", "bank_url")
    app = new_app(GROUP, instance_id, env)
    policy = settings.policy()
    table = app.transactional_table(
        "matching",
        **state_codec("matching", state.Entry, state.encode, state.decode),
        due_ms=partial(next_check_at_ms, policy=policy),
        expires_ms=partial(retained_until_ms, policy=policy),
    )
    _add_sources(app, table)
    _add_matching(app, table, policy)
    checks = overdue_checks(table, app.produce, settings)
    logger_name = "sinks.reconciliation.overdue_checks"
    run_regularly(app, settings.overdue_check_interval_seconds, checks.run_due, logger_name)
    poller = ReportPoller(
        [url for url in (known.network_url, known.network_fallback_url) if url],
        known.bank_url,
        app.produce,
        settings,
        lambda: POLLING_PARTITION in table.owned_partitions,
    )

    @app.task
    async def read_reports() -> None:
        await poller.run(lambda: app.should_stop)

    return app


def _add_sources(app: EngineApp, table: TransactionalTable) -> None:
    placement = Placement.of(app)

    @app.agent(app.batch_topic(NETWORK_SETTLEMENTS, decode=decoder(SettlementLine)))
    async def match_report_lines(stream: BatchStream) -> None:
        async for batch in stream:
            lines = table.partition(batch)
            for record in placement.records(batch):
                outcome = Outcome(requests=requests_of_line(lines, record.value))
                _emit(batch, outcome, record.headers.get(TRACEPARENT))

    @app.agent(app.batch_topic(BANK_STATEMENTS, decode=decoder(BankLine)))
    async def match_statement_lines(stream: BatchStream) -> None:
        async for batch in stream:
            lines = table.partition(batch)
            for record in placement.records(batch):
                outcome = Outcome(requests=requests_of_statement_line(lines, record.value))
                _emit(batch, outcome, record.headers.get(TRACEPARENT))


def _add_matching(app: EngineApp, table: TransactionalTable, policy: MatchingPolicy) -> None:
    placement = Placement.of(app)

    @app.agent(app.batch_topic(PAYMENTS_EVENTS, decode=decoder(PaymentEvent)))
    async def match_payments(stream: BatchStream) -> None:
        async for batch in stream:
            aggregate = PaymentAggregate(table.partition(batch), policy)
            for record in placement.records(batch):
                outcome = aggregate.payment(record.value)
                _emit(batch, outcome, record.headers.get(TRACEPARENT))

    @app.agent(app.batch_topic(RECONCILIATION_REQUESTS, decode=decoder(ReconciliationRequest)))
    async def handle_requests(stream: BatchStream) -> None:
        async for batch in stream:
            view: Any = table.partition(batch)
            payments, reports = PaymentAggregate(view, policy), ReportAggregate(view, policy)
            for record in placement.records(batch):
                aggregate = reports if is_about_report(record.value) else payments
                outcome = aggregate.request(record.value)
                _emit(batch, outcome, record.headers.get(TRACEPARENT))


def _emit(batch: Batch, outcome: Outcome, trace: bytes | None) -> None:
    for event in outcome.events:
        counter("paystream_reconciliation_events_total").labels(event.type).inc()
    for record in (*outcome.events, *outcome.commands, *outcome.requests):
        batch.emit(*to_message(record, GROUP, trace))
