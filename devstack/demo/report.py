"""What `paystream demo` shows after its traffic: facts from ClickHouse, Valkey and the simulators.

`demo_report` returns a dictionary that is JSON as it is; a part that does not answer gives
`{"unavailable": sentence}` in its place. Amounts are in minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx2
import redis
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from devstack.demo.printing import print_demo_report
from devstack.traffic.stats import TrafficResult
from runtime import valkey
from runtime.clickhouse import connect
from runtime.settings import ConfigurationError, Connections, connections
from runtime.settings import load as load_settings
from schemas.status_keys import PAYMENT_PREFIX
from sinks.audit.settings import AuditSettings

__all__ = ["demo_report", "print_demo_report"]

Report = dict[str, Any]
TIMEOUT_SECONDS = 10.0
SCAN_KEYS = 1_000

STATUSES = "SELECT status, count() FROM payments GROUP BY status ORDER BY count() DESC"
TRIAL_BALANCE = """
SELECT currency, account, state, sum(debits_minor), sum(credits_minor), sum(balance_minor)
FROM trial_balance GROUP BY currency, account, state ORDER BY currency, account, state
"""
CAPTURES = """
SELECT currency, uniqExact(transaction_id), sum(amount_minor) FROM ledger_entries
WHERE transaction_type = 'payment.captured' AND account = 'network_receivable'
    AND state = 'posted'
GROUP BY currency ORDER BY currency
"""
WEBHOOKS = """
SELECT uniqExact(delivery_id), uniqExactIf(delivery_id, result = 'delivered'), count()
FROM webhook_attempts
"""
PAYOUTS = """
SELECT mode, currency, status, count(), sum(amount_minor) FROM payouts
GROUP BY mode, currency, status ORDER BY mode, currency, status
"""
DUE = """
SELECT mode, currency, sum(available_minor) FROM merchant_balances
GROUP BY mode, currency ORDER BY mode, currency
"""
EXAMPLE_SQL = "SELECT currency, account, balance_decimal FROM trial_balance ORDER BY ALL"


def demo_report(env: Mapping[str, str], result: TrafficResult) -> Report:
    """All facts of the demo; an unavailable part raises nothing."""
    at = connections(env)
    ask = partial(_with_clickhouse, at, load_settings(AuditSettings, "audit", env).views_database)
    return {
        "payments_by_status": _asked(lambda: ask(_statuses)),
        "trial_balance": _asked(lambda: ask(_trial_balance)),
        "charges": _asked(lambda: ask(lambda client: _charges(at, client))),
        "webhooks": _asked(lambda: ask(lambda client: _webhooks(at, client))),
        "payouts": _asked(lambda: ask(_payouts)),
        "repeats": _asked(lambda: _repeats(at, result)),
        "status_reads": _asked(lambda: _status_reads(at)),
        "look_next": _look_next(at, env),
    }


def _asked(ask: Callable[[], Report]) -> Report:
    try:
        return ask()
    except (
        ClickHouseError,
        redis.RedisError,
        httpx2.HTTPError,
        OSError,
        ConfigurationError,
    ) as error:
        return {"unavailable": str(error).strip().partition("\n")[0] or repr(error)}


def _with_clickhouse(at: Connections, database: str, ask: Callable[[Client], Report]) -> Report:
    client = connect(at.need("clickhouse_url").clickhouse, database=database)
    try:
        return ask(client)
    finally:
        client.close()


def _summary(url: str) -> Report:
    answer = httpx2.get(f"{url}/summary", timeout=TIMEOUT_SECONDS).raise_for_status()
    return dict(answer.json())


def _statuses(client: Client) -> Report:
    return {str(status): int(count) for status, count in client.query(STATUSES).result_rows}


def _trial_balance(client: Client) -> Report:
    accounts = [
        {
            "currency": currency,
            "account": account,
            "state": state,
            "debits_minor": int(debits),
            "credits_minor": int(credits),
            "balance_minor": int(balance),
        }
        for currency, account, state, debits, credits, balance in client.query(
            TRIAL_BALANCE
        ).result_rows
    ]
    sums: dict[str, int] = {}
    for row in accounts:
        sums[row["currency"]] = sums.get(row["currency"], 0) + row["balance_minor"]
    return {"accounts": accounts, "sum_by_currency_minor": sums}


def _charges(at: Connections, client: Client) -> Report:
    """Approved captures at the network beside captures in the ledger."""
    network = _summary(at.need("network_url").network_url)
    rows = client.query(CAPTURES).result_rows
    captured = {str(currency): int(amount) for currency, _, amount in rows}
    charged = dict(sorted(network["charged_minor"].items()))
    charges = network["operations"].get("capture", {}).get("approved", 0)
    captures = sum(int(count) for _, count, _ in rows)
    return {
        "network_charges": charges,
        "ledger_captures": captures,
        "charged_minor": charged,
        "captured_minor": captured,
        "agree": charged == captured and charges == captures,
    }


def _webhooks(at: Connections, client: Client) -> Report:
    deliveries, delivered, attempts = client.query(WEBHOOKS).result_rows[0]
    receiver = _summary(at.need("receiver_url").receiver_url)
    return {
        "tried": int(deliveries),
        "delivered": int(delivered),
        "attempts": int(attempts),
        "received": receiver["delivered"],
        "signatures": receiver["verified"],
    }


def _payouts(client: Client) -> Report:
    made = [
        {
            "mode": mode,
            "currency": currency,
            "status": status,
            "count": int(count),
            "amount_minor": int(amount),
        }
        for mode, currency, status, count, amount in client.query(PAYOUTS).result_rows
    ]
    due = [
        {"mode": mode, "currency": currency, "amount_minor": int(amount)}
        for mode, currency, amount in client.query(DUE).result_rows
    ]
    return {"made": made, "due": due}


def _repeats(at: Connections, result: TrafficResult) -> Report:
    network = _summary(at.need("network_url").network_url)
    return {
        "sent_by_clients": result.repeats_sent,
        "absorbed_by_api": result.repeats_absorbed,
        "other_bodies_refused": result.other_bodies_refused,
        "absorbed_by_network": network["repeats"],
        "network_faults": network["faults"],
    }


def _status_reads(at: Connections) -> Report:
    with valkey.connect(at.need("redis_url").valkey, TIMEOUT_SECONDS) as cache:
        return {"payments": sum(1 for _ in cache.scan_iter(f"{PAYMENT_PREFIX}*", count=SCAN_KEYS))}


def _look_next(at: Connections, env: Mapping[str, str]) -> Report:
    return {
        "console": at.console_url,
        "api": f"{at.api_url}/openapi.json",
        "sql": f'paystream sql "{EXAMPLE_SQL}"',
        "metrics": env.get("PROMETHEUS_URLS", "").split(",")[0],
        "verify": "paystream verify",
    }
