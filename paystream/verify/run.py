"""All rules, one after the other, over one dataset."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from paystream.verify.balances import balances_add_up
from paystream.verify.card_numbers import no_card_numbers
from paystream.verify.chain import checkpoints_match_topic, ledger_matches_checkpoints
from paystream.verify.charges import charged_once
from paystream.verify.dataset import Dataset
from paystream.verify.deliveries import delivered_or_pending
from paystream.verify.ledger import ledger_balances, ledger_matches_events
from paystream.verify.live import LiveSources
from paystream.verify.offsets import offsets_at_end
from paystream.verify.outcomes import accepted_has_outcome
from paystream.verify.payouts import paid_once
from paystream.verify.recomputation import events_are_recomputable, sources_are_right
from paystream.verify.reconciliation import reconciliation
from paystream.verify.result import Findings, RuleResult, VerifyReport
from paystream.verify.sequences import sequence_without_gaps
from paystream.verify.sources import SourceUnavailable
from paystream.verify.tables import tables_match_events
from runtime.clock import now_ms

Check = Callable[[Dataset, Findings], None]
Progress = Callable[[str], None]


class Tier(StrEnum):
    """What a rule needs beside the code."""

    LOG = "log"
    """Kafka alone."""
    STORES = "stores"
    """ClickHouse, Valkey and files of this installation too."""
    COUNTERPARTY = "counterparty"
    """The card network's and the bank's own logs, which only the simulators serve."""


class Rule(NamedTuple):
    """A named invariant and the function that finds violations of it."""

    name: str
    invariant: str
    check: Check
    tier: Tier


RULES = (
    Rule(
        "charged_once",
        "no card is charged twice, or without an event",
        charged_once,
        Tier.COUNTERPARTY,
    ),
    Rule(
        "accepted_has_outcome",
        "every accepted command has an outcome",
        accepted_has_outcome,
        Tier.LOG,
    ),
    Rule(
        "events_are_recomputable",
        "events = the pure state machine applied to the commands",
        events_are_recomputable,
        Tier.LOG,
    ),
    Rule(
        "sources_are_right",
        "no event was caused by a command from the wrong source",
        sources_are_right,
        Tier.LOG,
    ),
    Rule(
        "sequence_without_gaps",
        "each payment's events are 1, 2, 3, …",
        sequence_without_gaps,
        Tier.LOG,
    ),
    Rule("tables_match_events", "changelog and Valkey = events", tables_match_events, Tier.STORES),
    Rule("ledger_balances", "every transaction sums to zero", ledger_balances, Tier.STORES),
    Rule(
        "ledger_matches_events",
        "ledger entries = mapping of events",
        ledger_matches_events,
        Tier.STORES,
    ),
    Rule(
        "delivered_or_pending",
        "every webhook is delivered or pending",
        delivered_or_pending,
        Tier.LOG,
    ),
    Rule("paid_once", "every payout reaches the bank at most once", paid_once, Tier.COUNTERPARTY),
    Rule(
        "balances_add_up", "captures - refunds - fees = owed + paid", balances_add_up, Tier.STORES
    ),
    Rule(
        "reconciliation",
        "reports and deposits = postings and breaks",
        reconciliation,
        Tier.STORES,
    ),
    Rule("offsets_at_end", "everything is read, no transaction is open", offsets_at_end, Tier.LOG),
    Rule(
        "no_card_numbers",
        "no card number in topics, stores, logs",
        no_card_numbers,
        Tier.STORES,
    ),
)


def rules_of(*tiers: Tier) -> tuple[Rule, ...]:
    """The rules of these tiers, in the order of `RULES`."""
    return tuple(rule for rule in RULES if rule.tier in tiers)


CHAIN_RULES = (
    Rule(
        "ledger_matches_checkpoints",
        "every row is the one that was signed",
        ledger_matches_checkpoints,
        Tier.STORES,
    ),
    Rule(
        "checkpoints_match_topic",
        "no checkpoint was taken out of ClickHouse",
        checkpoints_match_topic,
        Tier.STORES,
    ),
)
"""`paystream verify --chain`."""


def run_verify(
    env: Mapping[str, str],
    progress: Progress = lambda name: None,
    *,
    allow_skipped: bool = False,
    rules: tuple[Rule, ...] = RULES,
) -> VerifyReport:
    """Check every rule against the parts that `env` names; `progress` gets each rule's name.

    A rule whose sources cannot be read is skipped with its reason, and the report is not ok
    unless `allow_skipped`. Raises `runtime.settings.ConfigurationError` for a malformed
    environment.
    """
    return verify(Dataset(LiveSources(env), env), progress, allow_skipped, rules)


def verify(
    dataset: Dataset,
    progress: Progress = lambda name: None,
    allow_skipped: bool = False,
    rules: tuple[Rule, ...] = RULES,
) -> VerifyReport:
    """The same over any dataset."""
    began = time.monotonic()
    results = []
    for rule in rules:
        progress(rule.name)
        results.append(check(rule, dataset))
    ok = all(
        r.violation_count == 0 and (r.skipped_reason is None or allow_skipped) for r in results
    )
    return VerifyReport(
        ok=ok,
        rules=tuple(results),
        checked_at_ms=now_ms(),
        duration_seconds=round(time.monotonic() - began, 3),
    )


def check(rule: Rule, dataset: Dataset) -> RuleResult:
    """One rule. Violations that were found before a source was missing are kept."""
    findings = Findings()
    skipped_reason = None
    began = time.monotonic()
    try:
        rule.check(dataset, findings)
    except SourceUnavailable as error:
        skipped_reason = str(error)
    return RuleResult(
        name=rule.name,
        invariant=rule.invariant,
        checked=findings.checked,
        violation_count=findings.violation_count,
        violations=tuple(findings.violations),
        notes=tuple(findings.notes),
        skipped_reason=skipped_reason,
        duration_seconds=round(time.monotonic() - began, 3),
    )
